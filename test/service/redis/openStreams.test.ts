import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { LocalPod } from '../../support/pods/localPod.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { until } from '../../support/until.js';

const redis = useRedis();

const SESSIONS = 40;

test('sessions that only hold a stream are refreshed together, and one that is gone ends', async () => {
  // Such a session is refreshed after a third of this.
  const store = new RedisSessionStore({ redis: redis.client, ttlSeconds: 6 });
  const pod = await LocalPod.start({ sessionStore: store });
  const questions: string[][] = [];
  const monitor = await redis.client.monitor();
  monitor.on('monitor', (_time, [name = '', ...keys]: string[]) => void (/^mget$/i.test(name) && questions.push(keys)));

  const clients = await Promise.all(Array.from({ length: SESSIONS }, () => new RawClient().open(pod.url)));
  const streams = await Promise.all(clients.map(client => client.stream(pod.url)));
  const asked = () => new Set(questions.flat());
  await until('each session was asked about', () => asked().size === SESSIONS);
  expect(questions.length).toBeLessThanOrEqual(SESSIONS / 4);

  await redis.client.del(`mcp:session:{${clients[0]!.sessionId}}`);
  await store.patchSession(clients[1]!.sessionId!, { logLevel: 'error' });
  await streams[0]!.ended;
  const isChange = ({ sessionId, name }: { sessionId?: string; name?: unknown }): boolean =>
    sessionId === clients[1]!.sessionId && name === 'logging/setLevel';
  await until('the change is noticed', () => pod.journal.entries.some(isChange));
  expect(pod.handler.liveSessions).toBe(SESSIONS - 1);
  expect(pod.errors).toEqual([]);
  monitor.disconnect();
  for (const stream of streams) stream.close();
  await pod.stop();
});
