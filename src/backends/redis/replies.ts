/*
 * Functions that read the replies of Redis. A client may be configured for another form: ioredis may return numbers as
 * strings (`stringNumbers`) and maps as objects (`replyMapping: 'resp3'`). A reply transformer or a script may return a
 * list instead of an object. Each function accepts all these forms.
 */

/** An entry of a Redis Stream: its id, and field, value, field, value, … */
export type StreamEntry = [id: string, fields: string[]];

export function integerOf(reply: unknown): number {
  const number = typeof reply === 'string' || typeof reply === 'bigint' ? Number(reply) : reply;
  if (typeof number === 'number' && Number.isInteger(number) && reply !== '') return number;
  throw unexpected('a number');
}

/** Null if Redis has no value. */
export function textOf(reply: unknown): string | null {
  if (reply === null || reply === undefined) return null;
  if (typeof reply === 'string') return reply;
  if (typeof reply === 'number' || typeof reply === 'bigint') return String(reply);
  throw unexpected('a string');
}

export function textsOf(reply: unknown): (string | null)[] {
  if (!Array.isArray(reply)) throw unexpected('a list');
  return reply.map(textOf);
}

/** The fields of a hash: a list of fields and values, a `Map`, or an object. */
export function fieldsOf(reply: unknown): Record<string, string> {
  if (reply instanceof Map) return Object.fromEntries(reply as Map<string, string>);
  if (Array.isArray(reply)) {
    const list: unknown[] = reply;
    return Object.fromEntries(
      Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]] as [string, string])
    );
  }
  if (typeof reply === 'object' && reply !== null) return reply as Record<string, string>;
  throw unexpected('a hash');
}

export function entriesOf(reply: unknown): StreamEntry[] {
  if (reply === null) return [];
  if (!Array.isArray(reply)) throw unexpected('a list of entries');
  return (reply as [unknown, unknown][]).map(([id, fields]) => [
    textOf(id) as string,
    Array.isArray(fields) ? (fields as string[]) : Object.entries(fieldsOf(fields)).flat()
  ]);
}

/** The reply to `ZSCAN`: the next cursor, and the members without their scores. */
export function scannedOf(reply: unknown): [cursor: string, members: string[]] {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) throw unexpected('a cursor and members');
  const entries: unknown[] = reply[1];
  const isPairs = Array.isArray(entries[0]);
  const members = isPairs
    ? entries.map(entry => (entry as string[])[0] as string)
    : (entries.filter((_, index) => index % 2 === 0) as string[]);
  return [String(reply[0]), members];
}

/** The message does not contain the reply, because that may be a session's data. */
function unexpected(wanted: string): Error {
  return new Error(`Redis replied with something other than ${wanted}: check the client's options that change replies`);
}
