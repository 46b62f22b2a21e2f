import { InvalidOptionError, SessionRecordUnreadableError } from '../errors.js';
import { kindOf } from '../validate.js';
import { fromBase64, toBase64Url } from './base64.js';

/**
 * A key of 32 random bytes, as bytes or in base64 (`openssl rand -base64 32`), with or without a name of your own.
 * The name is stored in clear with everything that the key has sealed. Without one, it is derived from the key.
 */
export type EncryptionKey = Uint8Array | string | NamedEncryptionKey;

/** A key with a name of your own. */
export interface NamedEncryptionKey {
  /** 1 to 64 letters, digits, `_` and `-`. */
  id: string;
  /** 32 random bytes, as bytes or in base64. */
  key: Uint8Array | string;
}

const KEY_BYTES = 32;
/** NIST SP 800-38D section 8.2: the nonce length that GCM is designed for. */
const NONCE_BYTES = 12;
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
/** `sealed:v1:<key id>:<nonce, ciphertext and tag in base64url>` */
const SEALED_TEXT = /^sealed:v1:([A-Za-z0-9_-]{1,64}):([A-Za-z0-9_-]+)$/;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Keys derived from one key (HKDF, RFC 5869): each use has its own key. */
interface DerivedKeys {
  /** All names of the key; the first one is written. */
  ids: string[];
  /** Seals with a random nonce. */
  random: CryptoKey;
  /** Seals with a nonce that {@link DerivedKeys.nonce} makes from the text. */
  same: CryptoKey;
  nonce: CryptoKey;
}

/** Whether a text has the form that a {@link Keyring} writes. */
export function isSealed(text: string): boolean {
  return SEALED_TEXT.test(text);
}

/**
 * AES-256-GCM with a list of keys: the first one seals, each one opens. The `context` of a sealed text names its
 * purpose and session. It is authenticated and not stored, so a text opens only in the place for which it was sealed.
 */
export class Keyring {
  readonly #keys: Promise<DerivedKeys[]>;

  /** @throws InvalidOptionError that never shows a key */
  constructor(keys: readonly EncryptionKey[]) {
    this.#keys = Promise.all(parseKeys(keys).map(derive));
  }

  /** Returns a different text on each call. */
  async seal(text: string, context: string): Promise<string> {
    const [key] = await this.#keys;
    return encrypt(key!, key!.random, crypto.getRandomValues(new Uint8Array(NONCE_BYTES)), text, context);
  }

  /**
   * Returns the same text for the same text and context, one for each key, the first key first. It can be looked up.
   * The nonce is an HMAC of the sealed input, so two inputs share a nonce no more often than with random nonces.
   */
  async sealSame(text: string, context: string): Promise<[string, ...string[]]> {
    const sealed = (await this.#keys).map(async key => {
      const digest = await crypto.subtle.sign('HMAC', key.nonce, encoder.encode(`${context}\0${text}`));
      return encrypt(key, key.same, new Uint8Array(digest, 0, NONCE_BYTES), text, context);
    });
    return Promise.all(sealed) as Promise<[string, ...string[]]>;
  }

  /** @throws SessionRecordUnreadableError if it was sealed with another key, for another context, or was changed */
  async open(sealed: string, context: string): Promise<string> {
    return this.#open(sealed, context, 'random');
  }

  /** Opens a text sealed by {@link sealSame}. @throws SessionRecordUnreadableError as `open` */
  async openSame(sealed: string, context: string): Promise<string> {
    return this.#open(sealed, context, 'same');
  }

  async #open(sealed: string, context: string, use: 'random' | 'same'): Promise<string> {
    const [, id, body] = SEALED_TEXT.exec(sealed) ?? [];
    if (id === undefined || body === undefined)
      throw new SessionRecordUnreadableError('What is sealed has no such form');
    const key = (await this.#keys).find(({ ids }) => ids.includes(id));
    if (!key) throw new SessionRecordUnreadableError(`It is sealed with the key '${id}', which is not among the keys`);
    try {
      const bytes = fromBase64(body);
      const params = { name: 'AES-GCM', iv: bytes.subarray(0, NONCE_BYTES), additionalData: encoder.encode(context) };
      return decoder.decode(await crypto.subtle.decrypt(params, key[use], bytes.subarray(NONCE_BYTES)));
    } catch (error) {
      throw new SessionRecordUnreadableError(`What the key '${id}' has sealed was changed or moved`, { cause: error });
    }
  }
}

async function encrypt(
  { ids }: DerivedKeys,
  key: CryptoKey,
  iv: Uint8Array<ArrayBuffer>,
  text: string,
  context: string
): Promise<string> {
  const params = { name: 'AES-GCM', iv, additionalData: encoder.encode(context) };
  const sealed = new Uint8Array(await crypto.subtle.encrypt(params, key, encoder.encode(text)));
  const bytes = new Uint8Array(iv.length + sealed.length);
  bytes.set(iv);
  bytes.set(sealed, iv.length);
  return `sealed:v1:${ids[0]}:${toBase64Url(bytes)}`;
}

export interface ParsedKey {
  id: string | undefined;
  bytes: Uint8Array<ArrayBuffer>;
}

/** @throws InvalidOptionError that never shows a key */
export function parseKeys(keys: readonly EncryptionKey[]): ParsedKey[] {
  if (!Array.isArray(keys) || keys.length === 0) {
    const kind = Array.isArray(keys) ? 'an empty array' : kindOf(keys);
    throw new InvalidOptionError('keys', kind, 'an array of at least one key');
  }
  const parsed = keys.map((key, index) => parseKey(key as unknown, `keys[${index}]`));
  const ids = parsed.flatMap(({ id }) => (id === undefined ? [] : [id]));
  if (new Set(ids).size < ids.length) throw new InvalidOptionError('keys', 'two keys of one id', 'an id for each');
  return parsed;
}

function parseKey(given: unknown, option: string): ParsedKey {
  const isNamed = typeof given === 'object' && given !== null && !(given instanceof Uint8Array);
  if (!isNamed) return { id: undefined, bytes: parseBytes(given, option) };
  const { id, key } = given as { id?: unknown; key?: unknown };
  if (typeof id !== 'string' || !KEY_ID.test(id)) {
    throw new InvalidOptionError(`${option}.id`, kindOf(id), '1 to 64 letters, digits, hyphens and underscores');
  }
  return { id, bytes: parseBytes(key, `${option}.key`) };
}

function parseBytes(key: unknown, option: string): Uint8Array<ArrayBuffer> {
  const bytes = typeof key === 'string' ? bytesOf(key) : key;
  if (bytes instanceof Uint8Array && bytes.length === KEY_BYTES) return Uint8Array.from(bytes);
  const kind =
    bytes instanceof Uint8Array
      ? `${bytes.length} bytes`
      : typeof key === 'string'
        ? 'a string that is not base64'
        : kindOf(typeof key === 'number' ? {} : key);
  throw new InvalidOptionError(option, kind, `${KEY_BYTES} bytes, as a Uint8Array or in base64`);
}

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    return fromBase64(base64);
  } catch {
    return undefined;
  }
}

/** Derives bytes for one use from a key (HKDF, RFC 5869). */
async function derivation({ bytes }: ParsedKey): Promise<(use: string, length: number) => Promise<ArrayBuffer>> {
  const { subtle } = crypto;
  const key = await subtle.importKey('raw', bytes, 'HKDF', false, ['deriveBits']);
  return (use, length) => {
    const info = encoder.encode(`mcp-sdk-anypod v1 ${use}`);
    return subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info }, key, length * 8);
  };
}

/** The key that signs messages between pods, and the name by which other pods find it. */
export async function signingKey(parsed: ParsedKey): Promise<{ id: string; key: CryptoKey }> {
  const bits = await derivation(parsed);
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', await bits('bus', KEY_BYTES), hmac, false, ['sign', 'verify']);
  // Derived, so that a key has the same name whether or not it was given one.
  return { id: toBase64Url(new Uint8Array(await bits('id', 6))), key };
}

async function derive(parsed: ParsedKey): Promise<DerivedKeys> {
  const { id } = parsed;
  const { subtle } = crypto;
  const bits = await derivation(parsed);
  const aes = async (use: string): Promise<CryptoKey> =>
    subtle.importKey('raw', await bits(use, KEY_BYTES), 'AES-GCM', false, ['encrypt', 'decrypt']);
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  const derivedId = toBase64Url(new Uint8Array(await bits('id', 6)));
  return {
    ids: id === undefined ? [derivedId] : [id, derivedId],
    random: await aes('random nonce'),
    same: await aes('synthetic nonce'),
    nonce: await subtle.importKey('raw', await bits('nonce', KEY_BYTES), hmac, false, ['sign'])
  };
}
