/** Every error this package throws or reports. `code` is stable across releases, `message` is not. */
export abstract class AnypodError extends Error {
  /** Names the kind of error, for programs: it is stable across releases. */
  abstract readonly code: string;

  // Not `ErrorOptions`: a library of types before ES2022 has no such name.
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Names that do not describe the error. */
const GENERAL = new Set(['Error', 'TypeError', 'RangeError', 'SyntaxError', 'AggregateError']);

/**
 * The text of an error of this package, or the code or the name of any other error. Never its text: a text may quote a
 * command, an address or a session id.
 */
export function reasonOf(cause: unknown): string | undefined {
  if (cause instanceof AnypodError) return cause.message;
  // Not `instanceof Error`: the error may come from another realm.
  if (typeof cause !== 'object' || cause === null) return undefined;
  const { code, message, name, errors } = cause as Partial<AggregateError> & { code?: unknown };
  if (errors?.[0]) return reasonOf(errors[0]);
  if (typeof code === 'string' && /^[A-Z0-9_]{3,40}$/.test(code)) return code;
  // The first alternative matches `WRONGPASS invalid username-password pair`. The second is a text of this package.
  const stated = /^(?:[A-Z]{4,20}(?= )|no answer within \d+ ms$)/.exec(message ?? '');
  return stated?.[0] ?? (name === undefined || GENERAL.has(name) ? undefined : name);
}
