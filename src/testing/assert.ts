import { AssertionError } from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * The assertions of the contracts. They compare only by structure, because test runners that isolate files pass objects
 * of several global contexts with different prototypes.
 */
export function isTrue(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError({ message, actual: condition, expected: true, operator: '==' });
}

/**
 * Compares as JSON does: the order of keys does not matter, and a key whose value is undefined counts as absent.
 * @param message - the name of the compared value. @default the difference
 */
export function equal(actual: unknown, expected: unknown, message?: string): void {
  if (!isSame(actual, expected)) {
    throw new AssertionError({ message, actual, expected, operator: 'deepStrictEqual' });
  }
}

/**
 * @param code - the `code` of the error; without it any error passes. Not a class, because a package may be loaded
 * twice
 */
export async function rejects(promise: Promise<unknown>, message: string, code?: string): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => ({ code: (thrown as { code?: unknown } | null)?.code, thrown })
  );
  if (error === undefined) throw new AssertionError({ message, actual: 'it succeeded', expected: 'it is refused' });
  if (code !== undefined && error.code !== code) {
    throw new AssertionError({ message, actual: error.thrown, expected: { code }, operator: 'rejects' });
  }
}

/** The promise must be rejected with an error whose message has this text. */
export async function rejectsWith(promise: Promise<unknown>, text: string): Promise<void> {
  const message = await promise.then(
    () => 'it succeeded',
    (error: unknown) => String((error as Error | null)?.message)
  );
  isTrue(message.includes(text), `expected the error "${text}", got: ${message}`);
}

/** Waits until a condition holds that a backend reaches after some time. */
export async function eventually(look: () => boolean | Promise<boolean>, message: string): Promise<void> {
  const deadline = Date.now() + 4000;
  while (!(await look())) {
    if (Date.now() > deadline) throw new AssertionError({ message, actual: false, expected: true, operator: '==' });
    await delay(10);
  }
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => isSame(item, b[index]));
  }
  const [keysOfA, keysOfB] = [keysOf(a), keysOf(b)];
  // Only own keys count: `__proto__` may be one, and must not be looked up on a prototype.
  return (
    keysOfA.length === keysOfB.length && keysOfA.every(key => Object.hasOwn(b, key) && isSame(own(a, key), own(b, key)))
  );
}

function keysOf(object: object): string[] {
  return Object.keys(object).filter(key => own(object, key) !== undefined);
}

function own(object: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(object, key)?.value;
}
