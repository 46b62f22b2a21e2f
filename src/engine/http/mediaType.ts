/*
 * Only the newest minors of the SDK have a module with these rules. If it were imported, an older SDK would fail with a
 * loader's error, before the first constructor can report what is wrong.
 */

const token = "[\\w!#$%&'*+.^`|~-]+";
// Quoted text may contain printable Latin-1 characters, and quotes after a backslash. Like the SDK's parser, it accepts
// VT but not a tab.
const quoted = '"(?:[\\v !#-\\[\\]-~\\x80-\\xff]|\\\\[\\v -\\xff])*"';
const PARAMETERS = new RegExp(`^(?:; *${token} *= *(?:${quoted}|${token}) *)*$`);

/**
 * Whether a `Content-Type` header means JSON, with any parameters. Malformed parameters are accepted, as in browsers,
 * unless they contain a comma that may join two headers (RFC 9110, section 5.3).
 */
export function isJsonContentType(header: string | null | undefined): boolean {
  if (header === 'application/json') return true;
  if (!header) return false;
  const end = header.indexOf(';');
  const type = end < 0 ? header : header.slice(0, end);
  if (type.trim().toLowerCase() !== 'application/json') return false;
  const parameters = header.slice(type.length);
  return !parameters.includes(',') || PARAMETERS.test(parameters);
}
