import type { Redis } from 'ioredis';
import {
  InMemorySessionStore,
  RedisSessionStore,
  type RedisSessionStoreOptions,
  type SessionData,
  type SessionFilter,
  type SessionStateEntry,
  type StateWrite
} from 'mcp-sdk-anypod/server';

/** `InMemorySessionStore` with the application's state and the sessions of a principal. */
export class CompleteMemoryStore extends InMemorySessionStore {
  readonly #states = new Map<string, { value: string | null; version: number }>();

  async getState(sessionId: string): Promise<SessionStateEntry | null> {
    if (!(await this.sessionExists(sessionId))) return null;
    return this.#states.get(sessionId) ?? { value: null, version: 0 };
  }

  async putState(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite> {
    if (!(await this.sessionExists(sessionId))) return 'missing';
    // No await from here on: another writer comes before or after.
    const state = this.#states.get(sessionId) ?? { value: null, version: 0 };
    if (ifVersion !== undefined && ifVersion !== state.version) return 'conflict';
    this.#states.set(sessionId, { value, version: state.version + 1 });
    return 'written';
  }

  override async *listSessionIds({ principal, ...rest }: SessionFilter = {}): AsyncIterable<string[]> {
    for await (const ids of super.listSessionIds(rest)) {
      const owners = await Promise.all(ids.map(async id => (await this.getSession(id))?.metadata?.mcp?.principal));
      yield principal === undefined ? ids : ids.filter((_, index) => owners[index] === principal);
    }
  }

  override async deleteSession(sessionId: string): Promise<void> {
    this.#states.delete(sessionId);
    await super.deleteSession(sessionId);
  }
}

/** KEYS: session, state. ARGV: value, version or '', seconds to live, whether there is a value. */
const PUT_STATE = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
local version = redis.call('HGET', KEYS[2], 'version') or '0'
if ARGV[2] ~= '' and ARGV[2] ~= version then return 'conflict' end
if ARGV[4] == '1' then redis.call('HSET', KEYS[2], 'value', ARGV[1]) else redis.call('HDEL', KEYS[2], 'value') end
redis.call('HINCRBY', KEYS[2], 'version', 1)
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 'written'`;

/** `RedisSessionStore` with the application's state and the sessions of a principal. */
export class CompleteRedisStore extends RedisSessionStore {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor({ redis, keyPrefix = 'mcp:session:', ...options }: RedisSessionStoreOptions & { redis: Redis }) {
    super({ redis, keyPrefix, ...options });
    this.#redis = redis;
    this.#prefix = keyPrefix;
  }

  override async storeSession(sessionId: string, data: SessionData): Promise<void> {
    const principal = data.metadata?.mcp?.principal;
    if (principal !== undefined) await this.#redis.sadd(`${this.#prefix}of:${principal}`, sessionId);
    await super.storeSession(sessionId, data);
  }

  async getState(sessionId: string): Promise<SessionStateEntry | null> {
    if (!(await this.sessionExists(sessionId))) return null;
    const [value, version] = await this.#redis.hmget(this.#state(sessionId), 'value', 'version');
    return { value: value ?? null, version: Number(version) };
  }

  async putState(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite> {
    const keys = [`${this.#prefix}{${sessionId}}`, this.#state(sessionId)];
    const has = value === null ? '0' : '1';
    const args = [value ?? '', ifVersion ?? '', this.ttlSeconds * 2, has];
    return (await this.#redis.eval(PUT_STATE, 2, ...keys, ...args)) as StateWrite;
  }

  override async *listSessionIds({ principal, ...rest }: SessionFilter = {}): AsyncIterable<string[]> {
    if (principal === undefined) {
      yield* super.listSessionIds(rest);
      return;
    }
    const ids = await this.#redis.smembers(`${this.#prefix}of:${principal}`);
    const exist = await Promise.all(ids.map(id => this.sessionExists(id)));
    yield ids.filter((_, index) => exist[index] === true);
  }

  #state(sessionId: string): string {
    return `${this.#prefix}{${sessionId}}:state`;
  }
}
