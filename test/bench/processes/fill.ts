import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { KEY_PREFIX, ours } from './servers.js';
import { configuration, serve } from './rpc.js';
import { WebClient } from './webClient.js';

/** Puts sessions into a Redis. */
const { redis: url } = configuration<{ redis: string }>();
const AT_ONCE = 100;
const client = new WebClient(ours(url).handler.fetch);

serve({
  /** As clients do. */
  async open({ count }: { count: number }) {
    await client.openMany(count, AT_ONCE);
  },
  /** As records alone, alike but for their ids: what a client has left behind, many times. */
  async store({ count }: { count: number }) {
    const redis = new Redis(url, { enableAutoPipelining: true });
    const store = new RedisSessionStore({ redis, keyPrefix: KEY_PREFIX });
    const sample = (await store.getSession(await client.open()))!;
    delete sample.revision;
    for (let stored = 0; stored < count; stored += AT_ONCE) {
      const ids = Array.from({ length: Math.min(AT_ONCE, count - stored) }, () => randomUUID());
      await Promise.all(ids.map(sessionId => store.storeSession(sessionId, { ...sample, sessionId })));
    }
    redis.disconnect();
  }
});
