import type { SessionData, SessionStore } from 'mcp-sdk-anypod/server';

interface PlainRedis {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<unknown>;
  del(key: string): Promise<number>;
  exists(key: string): Promise<number>;
}

/** What someone may write in ten minutes: the five required methods over one JSON text per session. */
export class PlainRedisStore implements SessionStore {
  readonly #redis: PlainRedis;

  constructor(redis: PlainRedis) {
    this.#redis = redis;
  }

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    await this.#redis.set(`plain:${sessionId}`, JSON.stringify(data));
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    return JSON.parse((await this.#redis.get(`plain:${sessionId}`)) ?? 'null') as SessionData | null;
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    const data = await this.getSession(sessionId);
    if (data) await this.storeSession(sessionId, { ...data, lastActivity: Date.now() });
  }

  async deleteSession(sessionId: string): Promise<void> {
    await this.#redis.del(`plain:${sessionId}`);
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return (await this.#redis.exists(`plain:${sessionId}`)) === 1;
  }
}
