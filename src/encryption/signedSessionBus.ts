import { BusUnavailableError } from '../errors.js';
import { SESSION_BUS_METHODS, type SessionBus } from '../ports/sessionBus.js';
import { messageOf } from '../log.js';
import { reportTo } from '../report.js';
import { checkBoolean, checkFunction, checkMethods, checkOptionsObject } from '../validate.js';
import { fromBase64, toBase64Url } from './base64.js';
import { type EncryptionKey, parseKeys, signingKey } from './keyring.js';
import { keepSelf, throughWrappers } from '../wrappable.js';

/** The options of {@link signSessionBus}. */
export interface SignSessionBusOptions {
  /** The first key signs, each one verifies. Rotate as for `encryptSessionStore`. They may be the same keys. */
  keys: readonly EncryptionKey[];
  /**
   * Whether messages without a signature are accepted: while pods that do not sign still serve.
   * @default false: they are dropped and reported
   */
  acceptUnsigned?: boolean;
  /**
   * Sends without a signature and verifies signed messages: while pods that do not know signatures still serve.
   * @default false
   */
  sendUnsigned?: boolean;
  /**
   * Whether topic names contain a fingerprint of the session id (SHA-256) in place of the id. An id could be used by
   * anyone who may list the channels of the backend. While `acceptUnsigned` is set, messages under the old names are
   * received as well; while `sendUnsigned` is set, messages are sent under the old names.
   * @default false
   */
  hideSessionIds?: boolean;
  /** Receives every dropped message and every error of a listener. Its own errors are ignored. @default nothing */
  onerror?: (error: Error) => void;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof SignSessionBusOptions, true>> = {
  keys: true,
  acceptUnsigned: true,
  sendUnsigned: true,
  hideSessionIds: true,
  onerror: true
};

type Signer = Awaited<ReturnType<typeof signingKey>>;

/** `signed:v1:<key id>:<HMAC in base64url>:<message>` */
const SIGNED_TEXT = /^signed:v1:([A-Za-z0-9_-]{1,64}):([A-Za-z0-9_-]{43}):/;
/** A topic that contains a session id. */
const SESSION_TOPIC = /^(session:)(.+)$/s;
const encoder = new TextEncoder();

/**
 * A bus that signs each message between pods (HMAC-SHA-256 by WebCrypto, so in every runtime) and drops messages that
 * no key has signed. So an attacker who may publish on the backend can neither end sessions nor answer a server's
 * requests. A signature is bound to its topic, and so to its session.
 *
 * It does not hide messages. It hides session ids only with `hideSessionIds`. It does not stop an attacker who can also
 * read the backend from publishing a message a second time on the same topic. It adds no round trip.
 * @param bus - closed by `close`
 * @throws InvalidOptionError
 */
export function signSessionBus(bus: SessionBus, options: SignSessionBusOptions): SessionBus {
  checkMethods('bus', bus, SESSION_BUS_METHODS);
  checkOptionsObject('options', options, OPTION_NAMES);
  checkBoolean('acceptUnsigned', options.acceptUnsigned);
  checkBoolean('sendUnsigned', options.sendUnsigned);
  checkBoolean('hideSessionIds', options.hideSessionIds);
  checkFunction('onerror', options.onerror);
  return new SignedSessionBus(bus, options);
}

class SignedSessionBus implements SessionBus {
  readonly #bus: SessionBus;
  readonly #signers: Promise<Signer[]>;
  readonly #options: SignSessionBusOptions;
  /** Signing is asynchronous; messages are sent in the order in which they were published. */
  #lastSigned: Promise<unknown> = Promise.resolve();

  static {
    throughWrappers(this);
  }

  constructor(bus: SessionBus, options: SignSessionBusOptions) {
    keepSelf(this);
    this.#bus = bus;
    this.#options = options;
    this.#signers = Promise.all(parseKeys(options.keys).map(signingKey));
  }

  publish(topic: string, message: string): Promise<void> {
    if (this.#options.sendUnsigned) return this.#bus.publish(topic, message);
    const signing = Promise.all([this.#nameOf(topic), this.#sign(topic, message)]);
    const signed = this.#lastSigned.then(() => signing);
    this.#lastSigned = signed.catch(() => {});
    return signed.then(([name, text]) => this.#bus.publish(name, text));
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    const name = await this.#nameOf(topic);
    const onText = this.#checked(topic, listener);
    if (!this.#options.acceptUnsigned || name === topic) return this.#bus.subscribe(name, onText);
    const names = [name, topic];
    const subscribed = await Promise.allSettled(names.map(each => this.#bus.subscribe(each, onText)));
    const ends = subscribed.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
    const unsubscribe = async (): Promise<void> => void (await Promise.all(ends.map(end => end())));
    const failed = subscribed.find(each => each.status === 'rejected');
    if (!failed) return unsubscribe;
    await unsubscribe();
    throw failed.reason;
  }

  /** The name of a topic on the bus. */
  async #nameOf(topic: string): Promise<string> {
    const [, kind, sessionId] = SESSION_TOPIC.exec(topic) ?? [];
    if (!this.#options.hideSessionIds || sessionId === undefined) return topic;
    const digest = await crypto.subtle.digest('SHA-256', encoder.encode(sessionId));
    return `${kind}#${toBase64Url(new Uint8Array(digest))}`;
  }

  #checked(topic: string, listener: (message: string) => void): (text: string) => void {
    let lastChecked: Promise<void> | undefined;
    return text => {
      const verifying = this.#verified(topic, text);
      // Verifying is asynchronous; messages are delivered in the order in which they arrived.
      const checked: Promise<void> = (lastChecked ?? Promise.resolve())
        .then(() => verifying)
        .then(message => {
          if (lastChecked === checked) lastChecked = undefined;
          const returned: unknown = listener(message);
          // Not awaited: the messages after this one do not wait for it.
          if (returned instanceof Promise) returned.catch(this.#report);
        })
        .catch(this.#report);
      lastChecked = checked;
    };
  }

  close(): Promise<void> {
    return this.#bus.close();
  }

  /** A listener may throw anything; `onerror` gets an Error. */
  readonly #report = (thrown: unknown): void => {
    const error = thrown instanceof Error ? thrown : new Error(`A listener of the bus threw: ${messageOf(thrown)}`);
    reportTo(this.#options.onerror, error);
  };

  async #sign(topic: string, message: string): Promise<string> {
    const [signer] = await this.#signers;
    const signature = await crypto.subtle.sign('HMAC', signer!.key, signedBytes(topic, message));
    return `signed:v1:${signer!.id}:${toBase64Url(new Uint8Array(signature))}:${message}`;
  }

  async #verified(topic: string, text: string): Promise<string> {
    const [head, id, signature] = SIGNED_TEXT.exec(text) ?? [];
    if (head === undefined || signature === undefined) {
      if (this.#options.acceptUnsigned) return text;
      throw new BusUnavailableError('Dropped a message between pods: it is not signed');
    }
    const message = text.slice(head.length);
    for (const signer of await this.#signers) {
      if (signer.id !== id) continue;
      const bytes = fromBase64(signature);
      // WebCrypto compares in constant time.
      if (await crypto.subtle.verify('HMAC', signer.key, bytes, signedBytes(topic, message))) return message;
    }
    throw new BusUnavailableError('Dropped a message between pods: no key of this pod has signed it');
  }
}

/** The length separates topic and message, whatever characters they contain. */
function signedBytes(topic: string, message: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${topic.length}:${topic}${message}`);
}
