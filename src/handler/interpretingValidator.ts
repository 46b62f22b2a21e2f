import type { Validator } from '@cfworker/json-schema';
import type { jsonSchemaValidator } from '../sdkTypes.js';
import { UnsupportedRuntimeError } from '../errors.js';

/**
 * Whether the runtime lets a program generate code, which Ajv does. Workers and edge runtimes do not. A constructor call
 * that bundlers do not recognise, because some of them refuse a program that contains one.
 */
export function generatesCode(): boolean {
  try {
    // Not an empty function: workerd allows that one.
    Reflect.construct(Function, ['return 1']);
    return true;
  } catch {
    return false;
  }
}

/** A validator of `@cfworker/json-schema`, which interprets schemas. Without that package it refuses every schema. */
export async function loadInterpretingValidator(): Promise<jsonSchemaValidator> {
  const Interpreter = await loadInterpreter();
  return {
    getValidator<T>(schema: object) {
      if (!Interpreter) {
        throw new UnsupportedRuntimeError(
          'This runtime does not allow generated code, so JSON Schemas need the package @cfworker/json-schema: install it'
        );
      }
      const validator = new Interpreter(schema, '2020-12');
      return (input: unknown) => {
        const { valid, errors } = validator.validate(input);
        if (valid) return { valid: true, data: input as T, errorMessage: undefined };
        const errorMessage = errors.map(({ instanceLocation: where, error }) => `${where}: ${error}`).join('; ');
        return { valid: false, data: undefined, errorMessage };
      };
    }
  };
}

/** Bundlers accept an optional package that is not installed if its import stands in a `try`. */
async function loadInterpreter(): Promise<typeof Validator | undefined> {
  try {
    return (await import('@cfworker/json-schema')).Validator;
  } catch {
    return undefined;
  }
}
