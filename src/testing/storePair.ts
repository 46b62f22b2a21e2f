import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { FollowableEventStore } from '../ports/eventStore.js';
import type { SessionData, SessionStore } from '../ports/sessionStore.js';
import type { Cases, ContractOptions } from './contract.js';

/** The store of two pods: two instances over one backend, or one object if the backend is in an object. */
export interface TwoSessionStores {
  /** The first pod's store. */
  first: SessionStore;
  /** The second pod's store. */
  second: SessionStore;
  /** Lets this time pass for the backend, really or on its own clock. @default waits */
  elapse?: (ms: number) => Promise<void>;
  /** Closes what was opened for the case. */
  close?: () => Promise<void>;
}

/** The store of two pods: two instances over one backend, or one object if the backend is in an object. */
export interface TwoEventStores {
  /** The first pod's store. */
  first: FollowableEventStore;
  /** The second pod's store. */
  second: FollowableEventStore;
  /** Lets this time pass for the backend, really or on its own clock. @default waits */
  elapse?: (ms: number) => Promise<void>;
  /** Closes what was opened for the case. */
  close?: () => Promise<void>;
}

/** The options of a contract of session stores. */
export interface StoreContractOptions<Title extends string = string> extends ContractOptions<Title> {
  /** Called once for each case. What other cases have stored may be there. */
  makeTwo: (options: { ttlSeconds: number }) => Promise<TwoSessionStores>;
}

/** The subject of a case. */
export type StorePair = TwoSessionStores & { elapse: (ms: number) => Promise<void> };
export type PairCases = Cases<StorePair>;

/** One hour: no session expires during a case. */
const LONG_TTL_SECONDS = 3600;
export const SHORT_TTL_SECONDS = 1;

/** Makes a pair for each case. */
export function pairs(
  { makeTwo }: Pick<StoreContractOptions, 'makeTwo'>,
  ttlSeconds = LONG_TTL_SECONDS
): () => Promise<StorePair> {
  return async () => ({ elapse: delay, ...(await makeTwo({ ttlSeconds })) });
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

/** @throws TypeError if the store does not have these optional methods */
export function having<M extends keyof SessionStore>(
  store: SessionStore,
  ...methods: M[]
): SessionStore & Required<Pick<SessionStore, M>> {
  const missing = methods.filter(method => typeof store[method] !== 'function');
  if (missing.length > 0) throw new TypeError(`The store has no ${missing.join(', ')}`);
  return store as SessionStore & Required<Pick<SessionStore, M>>;
}

/** A pod's look at a session, with a store of any kind. */
export async function touch(store: SessionStore, sessionId: string, known?: SessionData): Promise<SessionData | null> {
  if (store.touchSession) return store.touchSession(sessionId, known);
  const data = await store.getSession(sessionId);
  if (data) await store.updateSessionActivity(sessionId);
  return data;
}

/** What the application and the transport put there: activity and revision are the store's. */
export function withoutTimes(data: SessionData | null): Partial<SessionData> | null {
  return data && { ...data, lastActivity: undefined, revision: undefined };
}
