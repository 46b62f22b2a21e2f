import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startRedisServer, type RedisServer } from './redisServer.js';
import { until } from '../until.js';
import { freePort } from './freePort.js';

/** A private master and replica on 127.0.0.1, watched by three Sentinels. */
export interface RedisSentinels {
  readonly name: string;
  readonly sentinels: readonly { host: string; port: number }[];
  readonly master: RedisServer;
  readonly replica: RedisServer;
  /** Resolves when two of the Sentinels have made the replica the master. */
  untilFailedOver(): Promise<void>;
  stop(): Promise<void>;
}

const NAME = 'main';

/** Resolves when every Sentinel knows the replica and the others. */
export async function startRedisSentinels(): Promise<RedisSentinels> {
  const folder = await mkdtemp(join(tmpdir(), 'redis-sentinel-'));
  const master = await startRedisServer();
  const replica = await startRedisServer({
    args: ['--replicaof', `127.0.0.1 ${master.port}`, '--repl-diskless-sync-delay', '0']
  });
  const children: ChildProcess[] = [];
  const admins: Redis[] = [];
  const stop = async () => {
    admins.forEach(admin => admin.disconnect());
    await Promise.all(children.map(child => (child.kill('SIGKILL'), once(child, 'exit'))));
    await Promise.all([master.stop(), replica.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
  for (let i = 0; i < 3; i++) {
    const port = await freePort();
    const file = join(folder, `${i}.conf`);
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${master.port} 2`,
      `sentinel down-after-milliseconds ${NAME} 300`,
      `sentinel failover-timeout ${NAME} 3000`
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    children.push(spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' }));
    admins.push(new Redis({ host: '127.0.0.1', port, enableReadyCheck: false }).on('error', () => {}));
  }
  const size = async (admin: Redis, what: string) => ((await admin.call('SENTINEL', what, NAME)) as unknown[]).length;
  try {
    await until('the Sentinels know each other', async () => {
      const counts = admins.map(async admin => [await size(admin, 'REPLICAS'), await size(admin, 'SENTINELS')]);
      return (await Promise.all(counts)).every(([replicas, others]) => replicas === 1 && others === 2);
    });
    const node = new Redis(replica.url);
    admins.push(node);
    await until('the replica follows', async () => /master_link_status:up/.test(await node.info('replication')));
  } catch (error) {
    await stop();
    throw error;
  }
  const agrees = async (admin: Redis): Promise<boolean> => {
    const [, port] = (await admin.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as string[];
    return Number(port) === replica.port;
  };
  return {
    name: NAME,
    sentinels: admins.slice(0, 3).map(({ options }) => ({ host: '127.0.0.1', port: options.port! })),
    master,
    replica,
    untilFailedOver: async () =>
      void (await until(
        'the replica is the master',
        async () => (await Promise.all(admins.slice(0, 3).map(agrees))).filter(Boolean).length >= 2,
        30_000
      )),
    stop
  };
}
