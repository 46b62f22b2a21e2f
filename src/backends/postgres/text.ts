/*
 * Postgres text cannot contain a NUL character or half of a surrogate pair. JavaScript strings may contain both, and so
 * may URIs and names from clients. JSON writes them as ASCII, so the text between its quotes is stored instead. Equal
 * strings are written equally.
 */

export function toText(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}

export function fromText(text: string): string {
  return JSON.parse(`"${text}"`) as string;
}
