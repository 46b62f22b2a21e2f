import { setTimeout as delay } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { Cluster as Cluster5 } from 'ioredis5';
import { Cluster as ValkeyCluster } from 'iovalkey';
import { RedisSessionBus, RedisSessionStore, type NodeRedisClient, type RedisClient } from 'mcp-sdk-anypod/server';
import { createCluster as createCluster6 } from 'redis';
import { createCluster as createCluster5 } from 'redis5';
import { runPod } from './runPod.js';

/**
 * A process that does what it is told to with a session store and a bus on a Redis Cluster, and answers how it went. Its
 * first calls do not wait until the client is connected.
 */
const [library, port, ...topics] = process.argv.slice(2) as [string, string, ...string[]];

const nodes = [{ host: '127.0.0.1', port: Number(port) }];
const rootNodes = [{ url: `redis://127.0.0.1:${port}` }];
const enableAutoPipelining = true;
const clients: Record<string, () => RedisClient | NodeRedisClient> = {
  'ioredis 6': () => new Cluster(nodes),
  'ioredis 6 with enableAutoPipelining': () => new Cluster(nodes, { enableAutoPipelining }),
  'ioredis 5': () => new Cluster5(nodes),
  'ioredis 5 with enableAutoPipelining': () => new Cluster5(nodes, { enableAutoPipelining }),
  iovalkey: () => new ValkeyCluster(nodes),
  'iovalkey with enableAutoPipelining': () => new ValkeyCluster(nodes, { enableAutoPipelining }),
  'node-redis 6': () => createCluster6({ rootNodes }),
  'node-redis 5': () => createCluster5({ rootNodes })
};

const redis = clients[library]!();
if ('isOpen' in redis) await (redis as NodeRedisClient & { connect(): Promise<unknown> }).connect();
const store = new RedisSessionStore({ redis });
const bus = new RedisSessionBus({ redis });
const heard: string[] = [];
const actions: Record<string, (name: string) => Promise<unknown>> = {
  patch: name => store.patchSession(name, { logLevel: 'info' }),
  exists: name => store.sessionExists(name),
  subscribe: name => bus.subscribe(name, text => void heard.push(text)),
  publish: name => bus.publish(name, name),
  /** How often. */
  heard: name => Promise.resolve(heard.filter(each => each === name).length)
};
/** ioredis asks 16 times within two seconds before it says what the node answers. */
const late = () => delay(10_000, undefined, { ref: false }).then(() => Promise.reject(new Error('late')));
const outcomeOf = (action: string, name: string): Promise<string> =>
  Promise.race([actions[action]!(name), late()]).then(
    result => (['boolean', 'number'].includes(typeof result) ? String(result) : 'done'),
    (error: Error) => error.message
  );

for (const topic of topics) void outcomeOf('subscribe', topic);
for (const name of topics) void outcomeOf('patch', name);
await runPod((req, res) => {
  const { pathname, searchParams } = new URL(req.url!, 'http://pod');
  void outcomeOf(pathname.slice(1), searchParams.get('name')!).then(outcome => res.end(outcome));
});
