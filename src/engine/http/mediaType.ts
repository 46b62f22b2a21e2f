/*
 * The SDK has these rules in a module of its own as well, but only in its newest minors: an import of that module makes an
 * older SDK fail with a loader's error, where the first constructor can say in words what is wrong.
 */

const token = "[\\w!#$%&'*+.^`|~-]+";
// Quoted text may hold anything printable, in Latin-1, and quotes behind a backslash; as the SDK's parser no tab (VT it does).
const quoted = '"(?:[\\v !#-\\[\\]-~\\x80-\\xff]|\\\\[\\v -\\xff])*"';
const PARAMETERS = new RegExp(`^(?:; *${token} *= *(?:${quoted}|${token}) *)*$`);

/**
 * Whether a `Content-Type` header says JSON, whatever its parameters. Malformed parameters are forgiven, as browsers do,
 * except where a comma in them may be the seam of two headers joined into one (RFC 9110, section 5.3).
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
