import { type Change, changedExample } from '../support/pods/sdkExample.js';
import { type Pod, startPods } from '../support/pods/process.js';
import { connect, type SdkClient } from '../support/clients/sdkClient.js';
import { type RedisServer, startRedisServer } from '../support/servers/redisServer.js';

describe("the SDK's example server simpleStreamableHttp", () => {
  let redis: RedisServer;
  let pods: Pod[] = [];
  let clients: SdkClient[] = [];

  beforeAll(async () => {
    redis = await startRedisServer();
  });

  afterEach(async () => {
    await Promise.all(clients.map(client => client.close()));
    await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
    clients = [];
  });

  afterAll(() => redis?.stop());

  /** Two pods of the changed example, and one client on each with the same session. */
  async function start(change: Change): Promise<[opener: SdkClient, moved: SdkClient]> {
    const script = await changedExample(change);
    pods = await startPods(2, script, [], { env: { MCP_PORT: '0', REDIS_URL: redis.url } });
    const opener = await connect(pods[0]!.origin);
    clients.push(opener);
    const moved = await connect(pods[1]!.origin, opener.sessionId);
    clients.push(moved);
    return [opener, moved];
  }

  const built = async (pod: Pod): Promise<unknown> => (await fetch(`${pod.origin}/built`)).json();

  test('with the two changed lines alone, its own map refuses the sessions of other pods', async () => {
    const [opener, moved] = await start('two lines only');
    expect(await opener.call('greet', { name: 'Ada' })).toBe('Hello, Ada!');
    await expect(moved.call('greet', { name: 'Ada' })).rejects.toMatchObject({ code: 404 });
  });

  test.each(['createMcpHandler', 'two lines and the route'] as const)(
    'with %s of the README, serves each session on every pod with one server',
    async change => {
      const [opener, moved] = await start(change);
      const greetings = await Promise.all(
        Array.from({ length: 20 }, (_, index) => [opener, moved][index % 2]!.call('greet', { name: 'Ada' }))
      );
      expect(new Set(greetings)).toEqual(new Set(['Hello, Ada!']));
      for (let call = 0; call < 20; call++) await moved.call('greet', { name: 'Ada' });
      expect(await Promise.all(pods.map(built))).toEqual([1, 1]);

      await opener.delete();
      await expect(moved.call('greet', { name: 'Ada' })).rejects.toMatchObject({ code: 404 });
      // The client of a deleted session begins a new one.
      const next = await connect(pods[1]!.origin);
      clients.push(next);
      expect(await next.call('greet', { name: 'Bob' })).toBe('Hello, Bob!');
      expect(pods.map(pod => pod.output()).join('')).not.toContain('Warning');
    }
  );
});
