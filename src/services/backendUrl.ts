import { InvalidOptionError } from '../errors.js';

/**
 * Parses the address of a backend. Messages never show it: any part of it may contain a password.
 * @param form - the expected form, in words
 * @throws InvalidOptionError
 */
export function parseUrl(option: string, text: string, form: string, fits: (url: URL) => boolean): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new InvalidOptionError(option, 'no URL', form);
  }
  // If the password contains / or #, the host ends inside it.
  if (url.host !== '' && /@/.test(url.pathname + url.hash)) throw notEncoded(option, form);
  if (!fits(url)) throw new InvalidOptionError(option, `a URL with another form (${url.protocol}//…)`, form);
  return url;
}

export function notEncoded(option: string, form: string): InvalidOptionError {
  return new InvalidOptionError(option, 'a user or password that is not percent-encoded', form);
}
