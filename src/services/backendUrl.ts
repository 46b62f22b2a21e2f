import { InvalidOptionError } from '../errors.js';

/**
 * The address of a backend. A message shows none of it: it may have a password in it, also where one does not expect it.
 * @param form - what it should look like, in words
 * @throws InvalidOptionError
 */
export function parseUrl(option: string, text: string, form: string, fits: (url: URL) => boolean): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new InvalidOptionError(option, 'no URL', form);
  }
  // With a / or # in the password, the host ends in the middle of it.
  if (url.host !== '' && /@/.test(url.pathname + url.hash)) throw notEncoded(option, form);
  if (!fits(url)) throw new InvalidOptionError(option, `a URL of another form (${url.protocol}//…)`, form);
  return url;
}

export function notEncoded(option: string, form: string): InvalidOptionError {
  return new InvalidOptionError(option, 'a user or password that is not percent-encoded', form);
}
