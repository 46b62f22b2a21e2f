import { type Pod, startPods } from '../support/pods/process.js';
import { type RedisServer, startRedisServer } from '../support/servers/redisServer.js';
import { startRoundRobin } from '../support/servers/roundRobin.js';
import { callTimes, connect } from '../support/clients/sdkClient.js';

describe('examples/migrate', () => {
  let redis: RedisServer;
  let before: Pod[] = [];
  let after: Pod[] = [];

  beforeAll(async () => {
    redis = await startRedisServer();
    const env = { PORT: '0', REDIS_URL: redis.url };
    before = await startPods(2, 'examples/migrate/before.ts', [], { env });
    after = await startPods(2, 'examples/migrate/after.ts', [], { env });
  });

  afterAll(async () => {
    await Promise.all([...before, ...after].map(pod => pod.stop()));
    await redis?.stop();
  });

  test('before.ts does not know the client on the pod that did not open the session', async () => {
    expect(await greetingsOf(before)).toEqual(['Hello Ada', 'Hello stranger']);
  });

  test('after.ts knows the client on every pod', async () => {
    expect(await greetingsOf(after)).toEqual(['Hello Ada']);
  });

  test('before.ts keeps a deleted session alive on the other pod, after.ts does not', async () => {
    expect(await callAfterDelete(before)).toBe('Hello stranger');
    await expect(callAfterDelete(after)).rejects.toMatchObject({ code: 404 });
  });

  test('a session of before.ts is not found by after.ts', async () => {
    const client = await connect(before[0]!.origin);
    const moved = await connect(after[0]!.origin, client.sessionId);
    await expect(moved.call('greet')).rejects.toMatchObject({ code: 404 });
    await Promise.all([client.close(), moved.close()]);
  });
});

/** The different answers that a client gets from two pods. */
async function greetingsOf(pods: Pod[]): Promise<string[]> {
  const balancer = await startRoundRobin(pods.map(pod => pod.port));
  const client = await connect(balancer.origin);
  const greetings = await callTimes(4, client, 'greet');
  await client.close();
  await balancer.stop();
  return [...new Set(greetings)].sort();
}

/** Deletes a session on the pod where it began, and calls on the one that served it in between. */
async function callAfterDelete([first, second]: Pod[]): Promise<string> {
  const client = await connect(first!.origin);
  const elsewhere = await connect(second!.origin, client.sessionId);
  try {
    await elsewhere.call('greet');
    await client.delete();
    return await elsewhere.call('greet');
  } finally {
    await Promise.all([client.close(), elsewhere.close()]);
  }
}
