import { AjvJsonSchemaValidator } from 'mcp-sdk-upstream/validation/ajv-provider.js';
import type { JsonSchemaType, JsonSchemaValidator, jsonSchemaValidator } from 'mcp-sdk-upstream/validation/types.js';

/** Compiled schemas kept at most; a server that makes schemas up as it goes must not fill the pod's memory. */
const MAX_SCHEMAS = 200;

/**
 * A JSON Schema validator for all servers of a pod: making one is most of what it takes to make a server, and each
 * schema is compiled once for all. Servers cannot see each other's schemas through it: a schema is known by its text
 * alone, and one that names itself (`$id`) is compiled by itself.
 */
export class SharedJsonSchemaValidator implements jsonSchemaValidator {
  /** Made when it is needed: most servers never validate anything. */
  #compiler: AjvJsonSchemaValidator | undefined;
  readonly #validators = new Map<string, JsonSchemaValidator<unknown>>();

  /** @throws what Ajv throws where the schema cannot be compiled */
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
    // A compiler keeps what it has compiled, so both go together.
    if (this.#validators.size >= MAX_SCHEMAS) {
      this.#validators.clear();
      this.#compiler = undefined;
    }
    const isNamed = text.includes('"$id"');
    const compiler = isNamed ? new AjvJsonSchemaValidator() : (this.#compiler ??= new AjvJsonSchemaValidator());
    try {
      // A copy, because the compiler knows schemas by identity, and the caller may change its own.
      return compiler.getValidator(JSON.parse(text) as JsonSchemaType);
    } catch (error) {
      // It keeps what it could not compile as well.
      if (compiler === this.#compiler) this.#compiler = undefined;
      throw error;
    }
  }
}
