import { InvalidOptionError } from './errors.js';

/** The kind of a value in words, for messages that must not show the value. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'object') return 'an object';
  return typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`;
}

export function checkOptionsObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidOptionError(name, kindOf(value), 'an object');
  }
}

export function checkString(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') {
    throw new InvalidOptionError(option, kindOf(value), 'a string');
  }
}

export function checkFunction(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw new InvalidOptionError(option, kindOf(value), 'a function');
  }
}

export function checkBoolean(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') {
    throw new InvalidOptionError(option, kindOf(value), 'true or false');
  }
}

export function checkOneOf(option: string, value: unknown, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value as string)) {
    throw new InvalidOptionError(option, kindOf(value), allowed.map(name => `'${name}'`).join(' or '));
  }
}

/** An object that has these methods: how an injected store or client is recognised. */
export function checkMethods(option: string, value: unknown, methods: readonly string[]): void {
  const missing =
    typeof value !== 'object' || value === null
      ? methods
      : methods.filter(method => typeof (value as Record<string, unknown>)[method] !== 'function');
  if (missing.length > 0) {
    const kind = missing.length === methods.length ? kindOf(value) : `an object without ${missing.join(', ')}`;
    throw new InvalidOptionError(option, kind, `an object with the methods ${methods.join(', ')}`);
  }
}

/** A number of milliseconds, seconds or things within bounds that a timer or a counter can hold. */
export function checkNumber(
  option: string,
  value: unknown,
  { min, max = 2 ** 31 - 1, integer = false }: { min: number; max?: number; integer?: boolean }
): void {
  if (value === undefined) return;
  const good =
    typeof value === 'number' && value >= min && value <= max && (integer ? Number.isInteger(value) : !isNaN(value));
  if (!good) {
    const kind = integer ? `an integer from ${min} to ${Math.floor(max)}` : `a number from ${min} to ${max}`;
    throw new InvalidOptionError(option, kindOf(value), kind);
  }
}
