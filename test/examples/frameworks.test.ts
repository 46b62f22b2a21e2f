import { type Pod, startPods } from '../support/pods/process.js';
import { post } from '../support/clients/rawClient.js';
import { type RedisServer, startRedisServer } from '../support/servers/redisServer.js';
import { type RoundRobin, startRoundRobin } from '../support/servers/roundRobin.js';
import { callTimes, connect } from '../support/clients/sdkClient.js';

const fetchHost = 'test/examples/fetchHost.ts';

/** Each, and the script that runs it where it does not listen by itself. */
const examples = [
  { example: 'node-http.ts' },
  { example: 'express.ts' },
  { example: 'fastify.ts' },
  { example: 'hono-node.ts' },
  { example: 'nestjs.ts' },
  { example: 'hono.ts', script: fetchHost },
  { example: 'next-route.ts', script: fetchHost }
];

/** A browser may send the headers of the protocol, and reads the session's id. */
async function expectCors(url: string): Promise<void> {
  const preflight = await fetch(url, { method: 'OPTIONS' });
  expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([
    204,
    'https://app.example.com'
  ]);
  const allowed = preflight.headers.get('access-control-allow-headers')?.toLowerCase().split(', ');
  expect(allowed).toEqual(
    expect.arrayContaining(['content-type', 'mcp-session-id', 'mcp-protocol-version', 'last-event-id'])
  );
  const answer = await fetch(url, { headers: { accept: 'text/event-stream' } });
  expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
  expect(answer.headers.get('access-control-expose-headers')).toMatch(/\bMcp-Session-Id\b/);
  await answer.body?.cancel();
}

describe('examples/frameworks', () => {
  let redis: RedisServer;
  let pods: Pod[] = [];
  let balancer: RoundRobin | undefined;

  beforeAll(async () => {
    redis = await startRedisServer();
  });

  afterEach(async () => {
    await balancer?.stop();
    await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
  });

  afterAll(() => redis?.stop());

  const startTwo = async (path: string, args: string[] = []): Promise<RoundRobin> => {
    pods = await startPods(2, path, args, { env: { PORT: '0', REDIS_URL: redis.url } });
    return (balancer = await startRoundRobin(pods.map(pod => pod.port)));
  };

  test.each(examples)(
    '$example: two pods serve a session in turns, until its client deletes it',
    async ({ example, script }) => {
      const path = `examples/frameworks/${example}`;
      const { origin } = script ? await startTwo(script, [path]) : await startTwo(path);
      await expectCors(`${origin}/mcp`);
      const client = await connect(origin);
      const answers = await callTimes(4, client, 'whoami');
      expect(new Set(answers)).toEqual(new Set(pods.map(pod => `Ada on pod ${pod.pid}`)));
      await client.delete();
      const late = await connect(origin, client.sessionId);
      await expect(late.call('whoami')).rejects.toMatchObject({ code: 404 });
      await Promise.all([client.close(), late.close()]);
    }
  );

  test('bearer-auth.ts: on both pods only its owner can use a session', async () => {
    const { origin } = await startTwo('examples/frameworks/bearer-auth.ts');
    const ada = await connect(origin, undefined, { authorization: 'Bearer token-of-ada' });
    const answers = await callTimes(4, ada, 'whoami');
    expect(new Set(answers)).toEqual(new Set(pods.map(pod => `ada on pod ${pod.pid}`)));

    const bob = await connect(origin, ada.sessionId, { authorization: 'Bearer token-of-bob' });
    await expect(bob.call('whoami')).rejects.toMatchObject({ code: 404 });
    const nobody = await post(`${origin}/mcp`, { jsonrpc: '2.0', id: 1, method: 'ping' });
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('Bearer')]);
    await Promise.all([ada.close(), bob.close()]);
  });
});
