/*
 * Postgres takes no NUL character in a text, and no half of a surrogate pair; JavaScript's strings, and so URIs and
 * names that clients send, may have both. JSON writes them as ASCII: what it writes between its quotes stands for the
 * string, and equal strings are written equally.
 */

export function toText(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}

export function fromText(text: string): string {
  return JSON.parse(`"${text}"`) as string;
}
