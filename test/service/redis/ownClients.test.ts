import { randomUUID } from 'node:crypto';
import * as iovalkey from 'iovalkey';
import * as ioredis from 'ioredis';
import * as ioredis5 from 'ioredis5';
import { RedisSessionBus, RedisSessionStore } from 'mcp-sdk-anypod/server';
import * as nodeRedis from 'redis';
import * as nodeRedis5 from 'redis5';
import { ioredisLibrary } from '../../../src/services/ioredisLibrary.js';
import { nodeRedisLibrary } from '../../../src/services/nodeRedisLibrary.js';
import type { RedisLibrary } from '../../../src/services/redisLibrary.js';
import { parseRedisUrl } from '../../../src/services/redisUrl.js';
import { useRedisAndCluster } from '../../support/servers/useRedisAndCluster.js';
import { until } from '../../support/until.js';

const servers = useRedisAndCluster();

/** The clients that the package makes from a URL, for each library. */
const libraries: [string, RedisLibrary][] = [
  ['ioredis 6', ioredisLibrary(ioredis)],
  ['ioredis 5', ioredisLibrary(ioredis5 as never)],
  ['iovalkey', ioredisLibrary(iovalkey as never)],
  ['node-redis 6', nodeRedisLibrary(nodeRedis)],
  ['node-redis 5', nodeRedisLibrary(nodeRedis5 as never)]
];

describe.each(libraries)('from a URL, %s', (_name, library) => {
  const open = async (url: string, isCluster = false) => {
    const client = library.client(parseRedisUrl('url', url), isCluster);
    const errors: (string | undefined)[] = [];
    client.onError(error => errors.push(error?.message));
    await client.connect();
    return { ...client, errors };
  };
  const keep = async ({ redis }: Awaited<ReturnType<typeof open>>) => {
    const [sessionId, now] = [randomUUID(), Date.now()];
    const store = new RedisSessionStore({ redis, keyPrefix: 'own:' });
    await store.storeSession(sessionId, { sessionId, initialized: false, createdAt: now, lastActivity: now });
    return sessionId;
  };
  const ask = async (url: string) => {
    const probe = library.probe(parseRedisUrl('url', url), 2000);
    return probe.ask().finally(() => probe.end());
  };

  test('uses the database and the user of the URL', async () => {
    await servers.admins[0]!.call('ACL', 'SETUSER', 'app', 'on', '>ses@me', 'allkeys', 'allchannels', 'allcommands');
    const url = `${servers.server.url.replace('redis://', 'redis://app:ses%40me@')}/3`;
    const client = await open(url);
    const sessionId = await keep(client);
    await servers.admins[0]!.select(3);
    expect(await servers.admins[0]!.exists(`own:{${sessionId}}`)).toBe(1);
    await servers.admins[0]!.select(0);
    expect(await ask(url)).toContain('cluster_enabled:0');
    await expect(ask(url.replace('ses%40me', 'wrong'))).rejects.toThrow();
    await expect(ask(url.replace('/3', '/99'))).rejects.toThrow();
    await client.quit();
    client.disconnect();
  });

  test('serves a store and a bus on a Cluster', async () => {
    const { url } = servers.cluster.masters[1]!;
    expect(await ask(url)).toContain('cluster_enabled:1');
    const client = await open(url, true);
    for (let i = 0; i < 10; i++) await keep(client);
    const bus = new RedisSessionBus({ redis: client.redis });
    const heard: string[] = [];
    await bus.subscribe('topic', message => heard.push(message));
    await bus.publish('topic', 'x');
    await until('the message is heard', () => heard.length > 0);
    await bus.close();
    await client.quit();
    client.disconnect();
  });

  test('does not wait for a server that refuses the connection, and reports why', async () => {
    const nobody = 'redis://127.0.0.1:1';
    const probe = library.probe(parseRedisUrl('url', nobody), 2000);
    await expect(probe.ask()).rejects.toThrow();
    expect(probe.reason()).toMatchObject({ code: 'ECONNREFUSED' });
    probe.end();
  });

  test('reconnects by itself after an outage', async () => {
    const client = await open(servers.server.url);
    await keep(client);
    await servers.server.restart();
    await until('it is connected again', () => client.errors.includes(undefined) && client.errors.length > 1);
    await until('it works', () =>
      keep(client).then(
        () => true,
        () => false
      )
    );
    client.disconnect();
  });
});
