import type { JsonSchemaType, JsonSchemaValidator, jsonSchemaValidator } from '../sdkTypes.js';
import { generatesCode, loadInterpretingValidator } from './interpretingValidator.js';

/** Maximum number of compiled schemas: a server that generates schemas must not fill the pod's memory. */
const MAX_SCHEMAS = 200;

/**
 * A JSON Schema validator for all servers of a pod. Making a validator is most of the cost of making a server, and each
 * schema is compiled once: by Ajv, or by `@cfworker/json-schema` where Ajv cannot run. Servers cannot see each other's schemas: a schema is identified only by its text, and a
 * schema with a name (`$id`) is compiled separately.
 */
export class SharedJsonSchemaValidator implements jsonSchemaValidator {
  /** Made on first use: most servers never validate anything. */
  #compiler: jsonSchemaValidator | undefined;
  #newCompiler: () => jsonSchemaValidator;
  #isPrepared = false;
  readonly #validators = new Map<string, JsonSchemaValidator<unknown>>();

  /** @param newCompiler - makes a validator of the SDK */
  constructor(newCompiler: () => jsonSchemaValidator) {
    this.#newCompiler = newCompiler;
  }

  /**
   * Chooses a compiler that this runtime can run. To be awaited before a server gets this validator.
   * @returns undefined if there is nothing to wait for
   */
  prepare(): Promise<void> | undefined {
    if (this.#isPrepared) return undefined;
    if (!generatesCode()) return this.#interpret();
    this.#isPrepared = true;
    return undefined;
  }

  /** Not shared by concurrent requests: in a Worker, a request may end before what it has started. */
  async #interpret(): Promise<void> {
    const validator = await loadInterpretingValidator();
    this.#newCompiler = () => validator;
    this.#isPrepared = true;
  }

  /** @throws Ajv's error if the schema cannot be compiled */
  getValidator<T>(schema: JsonSchemaType): JsonSchemaValidator<T> {
    const text = JSON.stringify(schema);
    let validator = this.#validators.get(text);
    if (!validator) {
      validator = this.#compile(text);
      this.#validators.set(text, validator);
    }
    return validator as JsonSchemaValidator<T>;
  }

  #compile(text: string): JsonSchemaValidator<unknown> {
    // A compiler keeps its compiled schemas, so both are dropped together.
    if (this.#validators.size >= MAX_SCHEMAS) {
      this.#validators.clear();
      this.#compiler = undefined;
    }
    const isNamed = text.includes('"$id"');
    const compiler = isNamed ? this.#newCompiler() : (this.#compiler ??= this.#newCompiler());
    try {
      // A copy, because the compiler identifies schemas by object, and the caller may change its object.
      return compiler.getValidator(JSON.parse(text) as JsonSchemaType);
    } catch (error) {
      // A compiler also keeps schemas that it could not compile.
      if (compiler === this.#compiler) this.#compiler = undefined;
      throw error;
    }
  }
}
