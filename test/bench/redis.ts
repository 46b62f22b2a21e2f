import { startRedisServer, type RedisServer } from '../support/servers/redisServer.js';

const running = new Set<RedisServer>();
// Whoever is interrupted leaves nothing running; the processes of the bench end with this one by themselves.
process.on('exit', () => {
  for (const { pid } of running) if (pid !== undefined) process.kill(pid, 'SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

/** Runs `work` with the URL of a Redis of its own, that keeps nothing. */
export async function withRedis<T>(work: (url: string) => Promise<T>): Promise<T> {
  const redis = await startRedisServer();
  running.add(redis);
  try {
    return await work(redis.url);
  } finally {
    await redis.stop();
    running.delete(redis);
  }
}
