import fc from 'fast-check';
import { SessionExistsError, type SessionData, type SessionPatch, type SessionStore } from 'mcp-sdk-anypod';
import { applyPatch, ownerOf } from '../../../src/ports/sessionStore.js';
import { seed } from './seed.js';

/** Two session stores on one backend, as two pods have them. */
export interface StoreSystem {
  readonly stores: readonly [SessionStore, SessionStore];
  /** The session id that a name of the sequence stands for: other for each sequence. */
  id(name: string): string;
  /** Settles a call, if time has to be moved for it. */
  settle?<T>(call: Promise<T>): Promise<T>;
  /** Lets time pass at once. Without it, no session expires during a sequence. */
  elapse?(ms: number): Promise<void> | void;
  /** Lets one session expire now. */
  expire?(id: string): Promise<unknown>;
}

/** How long sessions live in a sequence, and how long the id of a deleted one is refused. */
export const TTL_SECONDS = 100;
const TOMBSTONE_MS = 60_000;

interface Known {
  readonly record: SessionData;
  readonly change: number;
}

/** What every store must answer, whatever its backend. */
class StoreModel {
  readonly sessions = new Map<string, { data: SessionData; change: number; refreshedAt: number }>();
  readonly deletedAt = new Map<string, number>();
  /** By side and name, the record that a pod has read last. */
  readonly held = new Map<string, Known>();
  now = 0;
  changes = 0;

  live(name: string) {
    const session = this.sessions.get(name);
    return session && this.now - session.refreshedAt < TTL_SECONDS * 1000 ? session : undefined;
  }

  mayCreate(name: string): boolean {
    const deletedAt = this.deletedAt.get(name) ?? -Infinity;
    return !this.live(name) && this.now - deletedAt >= TOMBSTONE_MS;
  }

  create(name: string, data: SessionData): void {
    this.sessions.set(name, { data, change: ++this.changes, refreshedAt: this.now });
  }

  patch(name: string, patch: SessionPatch): boolean {
    const session = this.live(name);
    if (!session) return false;
    session.data = applyPatch(session.data, patch);
    session.change = ++this.changes;
    return true;
  }

  remove(name: string): boolean {
    if (!this.live(name)) return false;
    this.sessions.delete(name);
    this.deletedAt.set(name, this.now);
    return true;
  }
}

type Side = 0 | 1;
type Step = { readonly side: Side; readonly name: string } & (
  | {
      readonly kind:
        'get' | 'exists' | 'owner' | 'refresh' | 'delete' | 'touch' | 'touchKnown' | 'deleteTwice' | 'expire';
    }
  | { readonly kind: 'create' | 'createTwice'; readonly level: number }
  | { readonly kind: 'patch' | 'patchTwice'; readonly patch: SessionPatch }
  | { readonly kind: 'elapse'; readonly ms: number }
);

class StoreCommand implements fc.AsyncCommand<StoreModel, StoreSystem> {
  readonly #step: Step;

  constructor(step: Step) {
    this.#step = step;
  }

  check = (): boolean => true;

  toString(): string {
    const { side, kind, name, ...rest } = this.#step;
    return `${kind}(${name}${Object.keys(rest).length > 0 ? `, ${JSON.stringify(rest)}` : ''}) on ${side}`;
  }

  async run(model: StoreModel, system: StoreSystem): Promise<void> {
    const step = this.#step;
    const { side, name } = step;
    const id = system.id(name);
    const store = system.stores[side] as Required<SessionStore>;
    const other = system.stores[1 - side] as Required<SessionStore>;
    const settle = <T>(call: Promise<T>): Promise<T> => system.settle?.(call) ?? call;
    const session = model.live(name);
    const heldKey = `${side} ${name}`;
    switch (step.kind) {
      case 'get': {
        const record = await settle(store.getSession(id));
        expect(plain(record)).toEqual(plain(session?.data));
        if (record && session) model.held.set(heldKey, { record, change: session.change });
        return;
      }
      case 'exists':
        return expect(await settle(store.sessionExists(id))).toBe(session !== undefined);
      case 'owner':
        return expect(await settle(store.getSessionOwner(id))).toEqual(session ? ownerOf(session.data) : null);
      case 'refresh':
        await settle(store.updateSessionActivity(id));
        if (session) session.refreshedAt = model.now;
        return;
      case 'touch':
      case 'touchKnown': {
        const held = step.kind === 'touchKnown' ? model.held.get(heldKey) : undefined;
        const record = await settle(store.touchSession(id, held?.record));
        expect(plain(record)).toEqual(plain(session?.data));
        if (!session || !record) return;
        session.refreshedAt = model.now;
        // The pod learns that nothing has changed by getting what it holds.
        if (held?.change === session.change) expect(record).toBe(held.record);
        model.held.set(heldKey, { record, change: session.change });
        return;
      }
      case 'create': {
        const data = recordOf(id, step.level);
        const stored = await settle(outcomeOf(store.storeSession(id, data)));
        expect(stored).toBe(model.mayCreate(name) ? 'done' : 'exists');
        if (stored === 'done') model.create(name, data);
        return;
      }
      case 'createTwice': {
        const [first, second] = [recordOf(id, step.level), recordOf(id, step.level + 1)];
        const both = [store.storeSession(id, first), other.storeSession(id, second)].map(outcomeOf);
        const outcomes = await settle(Promise.all(both));
        const expected = model.mayCreate(name) ? ['done', 'exists'] : ['exists', 'exists'];
        expect([...outcomes].sort()).toEqual(expected);
        const winner = outcomes.indexOf('done');
        if (winner >= 0) model.create(name, [first, second][winner]!);
        return;
      }
      case 'patch':
        return expect(await settle(store.patchSession(id, step.patch))).toBe(model.patch(name, step.patch));
      case 'patchTwice': {
        // Of different fields, so that their order does not matter.
        const both = [store.patchSession(id, step.patch), other.patchSession(id, { initialized: true })];
        const patched = await settle(Promise.all(both));
        expect(patched).toEqual([model.patch(name, step.patch), model.patch(name, { initialized: true })]);
        return;
      }
      case 'delete':
        return expect(await settle(store.deleteSession(id))).toBe(model.remove(name));
      case 'deleteTwice': {
        const both = await settle(Promise.all([store.deleteSession(id), other.deleteSession(id)]));
        expect(both.filter(Boolean)).toHaveLength(model.remove(name) ? 1 : 0);
        return;
      }
      case 'expire':
        if (!system.expire) return;
        await system.expire(id);
        model.sessions.delete(name);
        return;
      case 'elapse':
        if (!system.elapse) return;
        await system.elapse(step.ms);
        model.now += step.ms;
    }
  }
}

async function outcomeOf(stored: Promise<void>): Promise<'done' | 'exists'> {
  try {
    await stored;
    return 'done';
  } catch (error) {
    if (error instanceof SessionExistsError) return 'exists';
    throw error;
  }
}

function recordOf(sessionId: string, level: number): SessionData {
  const mcp = { protocolVersion: `v${level}`, ...(level % 2 === 0 && { principal: `p${level}` }) };
  return {
    sessionId,
    initialized: false,
    createdAt: 1000 + level,
    lastActivity: 1000 + level,
    metadata: { level, mcp }
  };
}

/** Without what a store may choose: the time of the last activity, and the revision. */
function plain(record: SessionData | null | undefined): object | null {
  if (!record) return null;
  const rest: Partial<SessionData> = { ...record };
  delete rest.revision;
  delete rest.lastActivity;
  const { subscriptions, ...mcp } = rest.metadata?.mcp ?? {};
  return { ...rest, metadata: { ...rest.metadata, mcp: { ...mcp, subscriptions: [...(subscriptions ?? [])].sort() } } };
}

const side = fc.constantFrom<Side>(0, 1);
const name = fc.constantFrom('a', 'b');
const patch = fc.oneof(
  fc.constantFrom<SessionPatch>({ logLevel: 'info' }, { logLevel: 'error' }),
  fc.constantFrom('x', 'y').map((subscribe): SessionPatch => ({ subscribe })),
  fc.constantFrom('x', 'y').map((unsubscribe): SessionPatch => ({ unsubscribe }))
);
const kinds = ['get', 'exists', 'owner', 'refresh', 'delete', 'touch', 'touchKnown', 'deleteTwice', 'expire'] as const;
const steps: fc.Arbitrary<Step>[] = [
  fc.record({ side, name, kind: fc.constantFrom(...kinds) }),
  fc.record({ side, name, kind: fc.constantFrom('touchKnown' as const) }),
  fc.record({ side, name, kind: fc.constantFrom('create', 'createTwice'), level: fc.nat(9) }),
  fc.record({ side, name, kind: fc.constantFrom('patch', 'patchTwice'), patch }),
  fc.record({ side, name, kind: fc.constant('elapse' as const), ms: fc.constantFrom(30_000, 61_000, 101_000) })
];

/** Plays generated sequences on two stores of one backend. @param runs - how many */
export async function holdsStoreModel(make: () => StoreSystem | Promise<StoreSystem>, runs: number): Promise<void> {
  const sequences = fc.commands(
    steps.map(step => step.map(each => new StoreCommand(each))),
    { maxCommands: 40, size: 'max' }
  );
  const property = fc.asyncProperty(sequences, async commands => {
    const real = await make();
    await fc.asyncModelRun(() => ({ model: new StoreModel(), real }), commands);
  });
  await fc.assert(property, { seed, numRuns: runs });
}
