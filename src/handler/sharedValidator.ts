import { AjvJsonSchemaValidator } from 'mcp-sdk-upstream/validation/ajv-provider.js';
import type { JsonSchemaType, JsonSchemaValidator, jsonSchemaValidator } from 'mcp-sdk-upstream/validation/types.js';

/** Maximum number of compiled schemas: a server that generates schemas must not fill the pod's memory. */
const MAX_SCHEMAS = 200;

/**
 * A JSON Schema validator for all servers of a pod. Making a validator is most of the cost of making a server, and each
 * schema is compiled once. Servers cannot see each other's schemas: a schema is identified only by its text, and a
 * schema with a name (`$id`) is compiled separately.
 */
export class SharedJsonSchemaValidator implements jsonSchemaValidator {
  /** Made on first use: most servers never validate anything. */
  #compiler: AjvJsonSchemaValidator | undefined;
  readonly #validators = new Map<string, JsonSchemaValidator<unknown>>();

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
    const compiler = isNamed ? new AjvJsonSchemaValidator() : (this.#compiler ??= new AjvJsonSchemaValidator());
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
