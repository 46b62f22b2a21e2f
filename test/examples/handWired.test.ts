import { type Pod, startPods } from '../support/pods/process.js';
import { type RedisServer, startRedisServer } from '../support/servers/redisServer.js';
import { connect } from '../support/clients/sdkClient.js';

describe('examples/migrate/hand-wired.ts', () => {
  let redis: RedisServer;
  let pods: Pod[] = [];

  beforeAll(async () => {
    redis = await startRedisServer();
    pods = await startPods(2, 'examples/migrate/hand-wired.ts', [], { env: { PORT: '0', REDIS_URL: redis.url } });
  });

  afterAll(async () => {
    await Promise.all(pods.map(pod => pod.stop()));
    await redis?.stop();
  });

  test('creates one server for all requests of a recovered session, concurrent ones too', async () => {
    const client = await connect(pods[0]!.origin);
    const moved = await connect(pods[1]!.origin, client.sessionId);
    await Promise.all(Array.from({ length: 20 }, () => moved.call('counts')));
    for (let call = 0; call < 20; call++) await moved.call('counts');
    expect(JSON.parse(await moved.call('counts'))).toEqual({ servers: 1, recoveries: 1, transports: 1 });
    await Promise.all([client.close(), moved.close()]);
  });

  test('keeps no transport of an unknown session', async () => {
    const client = await connect(pods[0]!.origin);
    const before = JSON.parse(await client.call('counts')) as { transports: number };
    const stranger = await connect(pods[0]!.origin, 'unknown');
    await expect(stranger.call('counts')).rejects.toMatchObject({ code: 404 });
    expect(JSON.parse(await client.call('counts'))).toMatchObject({ transports: before.transports });
    await Promise.all([client.close(), stranger.close()]);
  });

  test('keeps no transport of a session that another pod has deleted', async () => {
    const client = await connect(pods[0]!.origin);
    const moved = await connect(pods[1]!.origin, client.sessionId);
    const { transports } = JSON.parse(await moved.call('counts')) as { transports: number };
    await client.delete();
    await expect(moved.call('counts')).rejects.toMatchObject({ code: 404 });
    const other = await connect(pods[1]!.origin);
    expect(JSON.parse(await other.call('counts'))).toMatchObject({ transports });
    await Promise.all([client.close(), moved.close(), other.close()]);
  });
});
