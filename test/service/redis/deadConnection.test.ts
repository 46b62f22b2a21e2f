import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { RedisSessionBus } from 'mcp-sdk-anypod/server';
import { createClient } from 'redis';
import { useRedis } from '../../support/servers/useRedis.js';
import { startTcpProxy } from '../../support/servers/tcpProxy.js';
import { until } from '../../support/until.js';

const used = useRedis();

const ignore = () => {};
const clients = {
  'ioredis 6': async (port: number) => {
    const redis = new Redis({ host: '127.0.0.1', port }).on('error', ignore);
    return { redis, close: () => redis.disconnect() };
  },
  'ioredis 5': async (port: number) => {
    const redis = new Redis5({ host: '127.0.0.1', port }).on('error', ignore);
    return { redis, close: () => redis.disconnect() };
  },
  'node-redis 6': async (port: number) => {
    const redis = createClient({ url: `redis://127.0.0.1:${port}` });
    await redis.connect();
    return { redis, close: () => redis.destroy() };
  }
};

type Connect = (typeof clients)[keyof typeof clients];
type Way = 'both' | 'fromClients' | 'fromServer';
const cases = Object.entries(clients).flatMap(([name, connect]) =>
  (['both', 'fromClients', 'fromServer'] as const).map(way => [name, way, connect] as const)
);

/** They run at the same time, because each waits eight seconds for the deadline of a connection. */
let outcomes: Promise<void>[];
beforeAll(() => {
  outcomes = cases.map(([, way, connect]) => expectReplacement(connect, way));
  // A test may come to its outcome only after that has failed.
  for (const outcome of outcomes) outcome.catch(() => {});
});

test.each(cases.map(([name, way], index) => [name, way, index] as const))(
  '%s: a subscriber connection on which bytes stop (%s) is replaced',
  (_name, _way, index) => outcomes[index]
);

async function expectReplacement(connect: Connect, way: Way): Promise<void> {
  const [topic, other] = [randomUUID(), randomUUID()];
  const proxy = await startTcpProxy(used.server.port);
  const { redis, close } = await connect(proxy.port);
  const bus = new RedisSessionBus({ redis });
  const speaker = new RedisSessionBus({ redis: used.client });
  const heard: string[] = [];
  const leave = await bus.subscribe(topic, message => heard.push(message));
  await speaker.publish(topic, 'before');
  await until('the first message is heard', () => heard.includes('before'));
  proxy.blackhole(way);
  // Settles on the connection that takes the place of the dead one.
  const leaveOther = await bus.subscribe(other, message => heard.push(message));
  await Promise.all([speaker.publish(topic, 'after'), speaker.publish(other, 'new')]);
  await until('both topics are heard', () => heard.includes('after') && heard.includes('new'));
  await leaveOther();
  await leave();
  await bus.close();
  close();
  await proxy.stop();
}
