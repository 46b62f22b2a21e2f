import type { RequestStateCodec, ServerContext } from '@modelcontextprotocol/server';
import { withDeadline } from '../deadline.js';
import { type EncryptionKey, Keyring } from '../encryption/keyring.js';
import { defaultPrincipalOf } from '../engine/session/principal.js';
import { InvalidOptionError, SessionStoreUnavailableError } from '../errors.js';
import { LOCK_METHODS, type LockStore } from '../locks/lockStore.js';
import type { SessionStore } from '../ports/sessionStore.js';
import type { AuthInfo } from '../sdkTypes.js';
import { Date } from '../timers.js';
import { checkFunction, checkMethods, checkNumber, checkOptionsObject, kindOf } from '../validate.js';

/** The options of {@link createRequestStateCodec}. */
export interface RequestStateCodecOptions {
  /**
   * The same keys on all pods: the first one seals, each one opens. To rotate, add the new key last, then move it to the
   * front, then remove the old one after `ttlSeconds`. They may be the keys of `encryptSessionStore`.
   */
  keys: readonly EncryptionKey[];
  /** Notes which states have been used, for all pods. A session store with locks, as for `withLock`. */
  store: SessionStore | LockStore;
  /** How long a state can be used, in seconds. A whole number. @default 600 */
  ttlSeconds?: number;
  /** The principal of a request, to which its state is bound. @default as for sessions: issuer and subject, or the client */
  principalOf?: (authInfo: AuthInfo) => string | undefined;
  /** What else a state is bound to: a state is refused if the result has changed. @default nothing */
  bind?: (ctx: ServerContext) => string;
  /** How long the store may take to answer, in milliseconds. After that the state is refused. @default 2000 */
  storeTimeoutMs?: number;
}

const OPTION_NAMES: Readonly<Record<keyof RequestStateCodecOptions, true>> = {
  keys: true,
  store: true,
  ttlSeconds: true,
  principalOf: true,
  bind: true,
  storeTimeoutMs: true
};

/** A store keeps a lock for as long as a timer can run: 2 ** 31 ms, less the minute that {@link use} adds. */
const MAX_TTL_SECONDS = 2_147_423;

/** What a state contains. */
interface Sealed {
  readonly id: string;
  /** Unix time in seconds. */
  readonly exp: number;
  readonly payload: unknown;
}

/**
 * Makes the `requestState` of tools that ask their client (`inputRequired`) safe on all pods: the client cannot read or
 * change it, only the principal that got it can send it back, to the same method, and it is accepted once. Pass `verify`
 * as `requestState.verify` to the server. Each round needs a new state. If the store fails, a state is refused.
 * @throws InvalidOptionError that never shows a key
 */
export function createRequestStateCodec<T = unknown>(options: RequestStateCodecOptions): RequestStateCodec<T> {
  check(options);
  const { store, ttlSeconds = 600, principalOf = defaultPrincipalOf, bind, storeTimeoutMs = 2000 } = options;
  const keyring = new Keyring(options.keys);
  const contextOf = (ctx: ServerContext): string => {
    const authInfo = ctx.http?.authInfo;
    const principal = authInfo && principalOf(authInfo);
    return `requestState\0${JSON.stringify([ctx.mcpReq.method, principal ?? null, bind?.(ctx) ?? null])}`;
  };
  return {
    async mint(payload, ctx) {
      if (!ctx) throw new InvalidOptionError('ctx', kindOf(ctx), 'the ctx argument of the handler');
      const text = JSON.stringify({ id: globalThis.crypto.randomUUID(), exp: now() + ttlSeconds, payload });
      return keyring.seal(text, contextOf(ctx));
    },

    async verify(state, ctx) {
      const { id, exp, payload } = await open(keyring, state, contextOf(ctx));
      const leftMs = (exp - now()) * 1000;
      if (leftMs <= 0) throw new Error('It has expired');
      await use(store as LockStore, id, leftMs, storeTimeoutMs);
      return payload as T;
    }
  };
}

function check(options: RequestStateCodecOptions): void {
  checkOptionsObject('options', options, OPTION_NAMES);
  checkMethods('store', options.store, LOCK_METHODS);
  checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: MAX_TTL_SECONDS, integer: true });
  checkFunction('principalOf', options.principalOf);
  checkFunction('bind', options.bind);
  checkNumber('storeTimeoutMs', options.storeTimeoutMs, { min: 1 });
}

async function open(keyring: Keyring, state: string, context: string): Promise<Sealed> {
  try {
    return JSON.parse(await keyring.open(state, context)) as Sealed;
  } catch (error) {
    const reason =
      'It was changed, or sealed with a key that is not in the list, for another principal or another method';
    throw new Error(reason, { cause: error });
  }
}

/**
 * Marks a state as used: a lock with its id that is never released. The store forgets it when the state has expired.
 * @throws Error if it has been used
 */
async function use(store: LockStore, id: string, leftMs: number, timeoutMs: number): Promise<void> {
  const name = `request-state:${id}`;
  const token = globalThis.crypto.randomUUID();
  // Longer than the state is valid: the clocks of two pods may differ.
  const leaseMs = leftMs + 60_000;
  const late = (): Error => new SessionStoreUnavailableError(`acquireLock did not answer within ${timeoutMs} ms`);
  const isFirst = await withDeadline(() => store.acquireLock(name, token, leaseMs), timeoutMs, late);
  if (isFirst) return;
  // A second use must not wait in the queue of the lock: it would keep the lock after the first.
  void store.releaseLock(name, token).catch(() => undefined);
  throw new Error('It has been used before');
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
