import { Redis } from 'ioredis';
import * as anypod from 'mcp-sdk-anypod/server';
import { Pool } from 'pg';
import * as upstream from 'mcp-sdk-upstream/server/index.js';
import * as upstreamMcp from 'mcp-sdk-upstream/server/mcp.js';

const redis = new Redis({ lazyConnect: true, enableOfflineQueue: false, retryStrategy: null });
redis.on('error', () => {});
const pool = new Pool({ host: '127.0.0.1', port: 1 });
afterAll(async () => {
  redis.disconnect();
  await pool.end();
});

type Class = new (...args: never[]) => object;

/** An object of every class that the package exports, by the name of the class. */
const instances: Record<string, () => object> = {
  FileSessionStore: () => new anypod.FileSessionStore({ path: '/dev/null/nowhere' }),
  InMemoryEventStore: () => new anypod.InMemoryEventStore(),
  InMemorySessionBus: () => new anypod.InMemorySessionBus(),
  InMemorySessionStore: () => new anypod.InMemorySessionStore(),
  PostgresEventStore: () => new anypod.PostgresEventStore({ pool }),
  PostgresSessionBus: () => new anypod.PostgresSessionBus({ pool }),
  PostgresSessionStore: () => new anypod.PostgresSessionStore({ pool }),
  PostgresTaskMessageQueue: () => new anypod.PostgresTaskMessageQueue({ pool }),
  PostgresTaskStore: () => new anypod.PostgresTaskStore({ pool }),
  RedisEventStore: () => new anypod.RedisEventStore({ redis }),
  RedisSessionBus: () => new anypod.RedisSessionBus({ redis }),
  RedisSessionStore: () => new anypod.RedisSessionStore({ redis }),
  RedisTaskMessageQueue: () => new anypod.RedisTaskMessageQueue({ redis }),
  RedisTaskStore: () => new anypod.RedisTaskStore({ redis }),
  StreamableHTTPServerTransport: () => new anypod.StreamableHTTPServerTransport(),
  WebStandardStreamableHTTPServerTransport: () => new anypod.WebStandardStreamableHTTPServerTransport()
};

/** What functions of the package return. */
const results: Record<string, () => object> = {
  'what signSessionBus returns': () =>
    anypod.signSessionBus(new anypod.InMemorySessionBus(), { keys: [new Uint8Array(32)] }),
  'what encryptSessionStore returns': () =>
    anypod.encryptSessionStore(new anypod.InMemorySessionStore(), { keys: [new Uint8Array(32)] }),
  'the notify of a handler': () =>
    anypod.createMcpHandler(() => new anypod.McpServer({ name: 'x', version: '1' })).notify,
  'a handler': () => anypod.createMcpHandler(() => new anypod.McpServer({ name: 'x', version: '1' }))
};

const isClass = (value: unknown): value is Class =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

test('every class that the package exports is in this test', () => {
  const ours = Object.entries(anypod).filter(
    ([name, value]) =>
      isClass(value) && !(value.prototype instanceof Error) && !(name in upstream) && !(name in upstreamMcp)
  );
  expect(Object.keys(instances)).toEqual(ours.map(([name]) => name).sort());
});

const wrappers: [string, (object: object) => object][] = [
  ['a Proxy', object => new Proxy(object, {})],
  ['an object that inherits from it', object => Object.create(object) as object]
];

/** The names of the members of an object that a caller can use. */
function membersOf(object: object): string[] {
  const names = new Set<string>();
  for (let at: object | null = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null) {
    for (const name of Object.getOwnPropertyNames(at)) if (name !== 'constructor') names.add(name);
  }
  return [...names];
}

/**
 * What a call throws, or rejects with at once; undefined if it does neither. What waits for a server has got past the private
 * fields, and is not waited for.
 */
async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    const returned = call();
    const isIterable = typeof returned === 'object' && returned !== null && Symbol.asyncIterator in returned;
    const settled = isIterable ? (returned as AsyncIterable<unknown>)[Symbol.asyncIterator]().next() : returned;
    if (settled instanceof Promise) settled.catch(() => {});
    await Promise.race([settled, new Promise(resolve => setImmediate(resolve))]);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe.each(Object.entries({ ...instances, ...results }))('%s', (_name, make) => {
  test.each(wrappers)('works through %s', async (_kind, wrap) => {
    const object = make();
    const wrapped = wrap(object) as Record<string, unknown>;
    const failures: unknown[] = [];
    // Closed last: what follows has nothing to work on.
    const names = membersOf(object).sort((a, b) => Number(a === 'close') - Number(b === 'close'));
    for (const name of names) {
      failures.push(
        await failureOf(() => {
          const member = wrapped[name];
          return typeof member === 'function' ? Reflect.apply(member, wrapped, ['id', () => {}]) : undefined;
        })
      );
    }
    // It fails for want of a server or of sensible arguments, not of private fields.
    expect(failures.map(String).filter(failure => failure.includes('private'))).toEqual([]);
    expect(names.length).toBeGreaterThan(0);
  });
});

test('a method that a subclass or an application replaces is called through a wrapper', async () => {
  class Loud extends anypod.InMemorySessionStore {
    override async sessionExists(sessionId: string): Promise<boolean> {
      return sessionId === 'loud' || super.sessionExists(sessionId);
    }
  }
  const store = new Loud();
  const wrapped = new Proxy(store, {});
  expect(await wrapped.sessionExists('loud')).toBe(true);
  expect(await wrapped.sessionExists('other')).toBe(false);
  store.sessionExists = async () => true;
  expect(await wrapped.sessionExists('other')).toBe(true);
});

test('a property that is set through a wrapper is set on the wrapped object', async () => {
  const store = new anypod.InMemorySessionStore();
  const now = Date.now();
  const record = { sessionId: 'a', initialized: true, createdAt: now, lastActivity: now };
  for (const [kind, wrap] of wrappers) {
    await (wrap(store) as anypod.SessionStore).storeSession(kind, { ...record, sessionId: kind });
    expect(await store.sessionExists(kind)).toBe(true);
  }
  expect(JSON.stringify(store)).not.toContain('sessionId');
});
