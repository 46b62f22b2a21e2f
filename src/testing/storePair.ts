import { randomUUID } from 'node:crypto';
import type { SessionData, SessionStore } from '../sessionStore.js';

/** What a contract is run by: the functions of Jest, Vitest, Mocha or `node:test`. */
export interface ContractRunner {
  readonly describe: (title: string, body: () => void) => unknown;
  readonly it: (title: string, body: () => Promise<void>) => unknown;
}

/** Two instances over one backend, as two pods would have them. They may be one object where the backend is one. */
export interface StorePair {
  readonly first: SessionStore;
  readonly second: SessionStore;
  /** Lets so much time pass for the backend: really, or on its clock. */
  readonly elapse: (ms: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export type MakeStorePair = (options: { ttlSeconds: number }) => Promise<StorePair>;

export type PairCases = Record<string, (pair: StorePair) => Promise<void>>;

/** An hour: nothing expires while a case runs. */
export const LONG_TTL_SECONDS = 3600;
export const SHORT_TTL_SECONDS = 1;

/** Runs each case on a pair of its own. */
export function runPairCases(
  { describe, it }: ContractRunner,
  title: string,
  makePair: MakeStorePair,
  ttlSeconds: number,
  cases: PairCases
): void {
  describe(title, () => {
    for (const [sentence, run] of Object.entries(cases)) {
      it(sentence, async () => {
        const pair = await makePair({ ttlSeconds });
        try {
          await run(pair);
        } finally {
          await pair.close();
        }
      });
    }
  });
}

/** Creates a session. @returns its id */
export async function createSession(
  store: SessionStore,
  { sessionId = randomUUID(), principal }: { sessionId?: string; principal?: string } = {}
): Promise<string> {
  const now = Date.now();
  const mcp = principal === undefined ? {} : { principal };
  const data: SessionData = { sessionId, initialized: true, createdAt: now, lastActivity: now, metadata: { mcp } };
  await store.storeSession(sessionId, data);
  return sessionId;
}

/** @throws TypeError where the store has not these optional methods */
export function having<M extends keyof SessionStore>(
  store: SessionStore,
  ...methods: M[]
): SessionStore & Required<Pick<SessionStore, M>> {
  const missing = methods.filter(method => typeof store[method] !== 'function');
  if (missing.length > 0) throw new TypeError(`The store has no ${missing.join(', ')}`);
  return store as SessionStore & Required<Pick<SessionStore, M>>;
}
