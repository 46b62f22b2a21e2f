import { type Pod, startPods } from '../support/pods/process.js';
import { type RedisServer, startRedisServer } from '../support/servers/redisServer.js';
import { connect, whoAmIByTurns } from '../support/clients/sdkClient.js';
import { until } from '../support/until.js';

describe('examples/express-redis.ts', () => {
  let redis: RedisServer;
  let pods: Pod[] = [];

  beforeAll(async () => {
    redis = await startRedisServer();
    pods = await startPods(2, 'examples/express-redis.ts', [], {
      env: { PORT: '0', REDIS_URL: redis.url, SHUTDOWN_DELAY_MS: '3000' }
    });
  });

  afterAll(async () => {
    await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
    await redis?.stop();
  });

  test('every pod serves the session and knows its client', async () => {
    expect(await whoAmIByTurns(pods)).toEqual(new Set(pods.map(pod => `Ada on pod ${pod.pid}`)));
  });

  test('on SIGTERM a pod is not ready, serves until its balancer has noticed, and its sessions go on, on another pod', async () => {
    const [first, second] = pods as [Pod, Pod];
    const client = await connect(first.origin);
    const inFlight = await beginWork(first, client.sessionId);
    const exitCode = first.stop('SIGTERM');
    await until('the pod is not ready', async () => (await fetch(`${first.origin}/ready`)).status === 503);
    const late = await connect(first.origin);
    expect(await late.call('whoami')).toBe(`Ada on pod ${first.pid}`);
    expect(await inFlight.text()).toContain(`done on pod ${first.pid}`);
    expect(await exitCode).toBe(0);

    const moved = await connect(second.origin, client.sessionId);
    expect(await moved.call('whoami')).toBe(`Ada on pod ${second.pid}`);
    await Promise.all([client.close(), late.close(), moved.close()]);
  });
});

/** Resolves as soon as the pod has taken the call, long before it is answered. */
function beginWork(pod: Pod, sessionId: string): Promise<Response> {
  const params = { name: 'work', arguments: { seconds: 0.5 } };
  return fetch(`${pod.origin}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': sessionId
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 'work', method: 'tools/call', params })
  });
}
