import { InvalidOptionError } from './errors.js';
import { MADE_BY, PACKAGE } from './packageName.js';

/** The kind of a value in words, for messages that must not show the value. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (isPromise(value)) return 'a Promise (was it awaited?)';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'object') return isRedisClient(value) ? 'a Redis client' : 'an object';
  if (isClass(value)) return 'a class (was it created with new?)';
  return typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`;
}

/** A word, or a few of them. */
const WORDS = /^[a-z]{1,12}(?:[-_ ][a-z]{1,12}){0,2}$/i;
/** A number, with a unit if there is one. */
const QUANTITY = /^-?\d{1,10}(?:\.\d{1,6})? ?[a-z]{0,7}$/i;

/** Like {@link kindOf}, but shows a text that cannot be a secret: a word, or a number with a unit. */
function shown(value: unknown): string {
  if (typeof value !== 'string') return typeof value === 'boolean' ? String(value) : kindOf(value);
  if (value.trim() === '') return 'an empty string';
  if (WORDS.test(value) || QUANTITY.test(value)) return `'${value}'`;
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? 'a URL' : 'a string';
}

/**
 * Checks that the options are an object.
 * @param known - their names, if the function has no other check of them: see {@link checkOptionNames}
 */
export function checkOptionsObject(name: string, value: unknown, known?: Readonly<Record<string, true>>): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isPromise(value)) {
    throw new InvalidOptionError(name, shown(value), 'an object');
  }
  if (known) checkOptionNames(value, known);
}

/**
 * Refuses an option whose name is almost the name of a known one: in JavaScript it would be ignored silently. Other
 * unknown names are accepted, because options are often spread from an object with more than one purpose.
 */
export function checkOptionNames(options: object, known: Readonly<Record<string, true>>): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    const meant = Object.keys(known).find(each => isSimilar(name, each));
    if (meant !== undefined) throw new InvalidOptionError(name, 'an unknown name', meant);
  }
}

export function checkString(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') {
    throw new InvalidOptionError(option, kindOf(value), 'a string');
  }
}

export function checkFunction(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw new InvalidOptionError(option, shown(value), 'a function');
  }
}

export function checkBoolean(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') {
    throw new InvalidOptionError(option, shown(value), 'true or false');
  }
}

export function checkOneOf(option: string, value: unknown, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value as string)) {
    throw new InvalidOptionError(option, shown(value), allowed.map(name => `'${name}'`).join(' or '));
  }
}

/**
 * Checks that the value is an object with these methods. Injected stores and clients are recognised by their methods.
 * @param expected - the expected value, in words
 */
export function checkMethods(
  option: string,
  value: unknown,
  methods: readonly string[],
  expected = `an object with the methods ${methods.join(', ')}`
): void {
  const missing =
    typeof value !== 'object' || value === null
      ? methods
      : methods.filter(method => typeof (value as Record<string, unknown>)[method] !== 'function');
  if (missing.length > 0) {
    const kind = missing.length === methods.length ? shown(value) : `an object without ${missing.join(', ')}`;
    throw new InvalidOptionError(option, kind, expected);
  }
  checkMaker(option, value as { [MADE_BY]?: string });
}

/** Refuses an object of the other package of this repository: its errors, for one, would not be recognised. */
function checkMaker(option: string, { [MADE_BY]: maker }: { [MADE_BY]?: string }): void {
  if (maker === undefined || maker === PACKAGE) return;
  throw new InvalidOptionError(option, `an object of ${maker}`, `one of ${PACKAGE}, which this call belongs to`);
}

/** Checks a number of milliseconds, seconds or items. The bounds are those of timers and counters. */
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
    throw new InvalidOptionError(option, shown(value), kind);
  }
}

export function isPromise(value: unknown): boolean {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}

/** Of ioredis, iovalkey or node-redis. */
export function isRedisClient(value: unknown): boolean {
  return typeof (value as { sendCommand?: unknown } | null | undefined)?.sendCommand === 'function';
}

function isClass(value: unknown): boolean {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** The ends of names. A name without its unit is a usual mistake. */
const UNITS = ['ms', 'seconds', 'bytes'];
const MAX_TYPING_MISTAKES = 2;
/** In a shorter name, two mistakes may result in another word. */
const MIN_LENGTH = 6;

function isSimilar(name: string, known: string): boolean {
  const [given, meant] = [simplified(name), simplified(known)];
  if (given === meant || UNITS.some(unit => meant === given + unit)) return true;
  const isLong = Math.min(given.length, meant.length) >= MIN_LENGTH;
  const isNear = Math.abs(given.length - meant.length) <= MAX_TYPING_MISTAKES;
  return isLong && isNear && editDistance(given, meant) <= MAX_TYPING_MISTAKES;
}

function simplified(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '');
}

/** The number of letters to add, remove or replace to turn one text into the other (Levenshtein distance). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
