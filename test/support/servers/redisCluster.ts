import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startRedisServer, type RedisServer } from './redisServer.js';
import { freePort } from './freePort.js';

const run = promisify(execFile);

/** A private Redis Cluster of masters alone, on 127.0.0.1. */
export interface RedisCluster {
  readonly nodes: readonly { host: string; port: number }[];
  readonly masters: readonly RedisServer[];
  /** Resolves when each master serves all slots (again). */
  untilUp(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts so many masters and joins them; resolves when each of them serves all slots. */
export async function startRedisCluster(count = 3): Promise<RedisCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'redis-cluster-'));
  const masters: RedisServer[] = [];
  const stop = async () => {
    await Promise.all(masters.map(master => master.stop()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (let i = 0; i < count; i++) masters.push(await startMaster(folder, i));
    const nodes = masters.map(({ port }) => ({ host: '127.0.0.1', port }));
    const addresses = nodes.map(({ host, port }) => `${host}:${port}`);
    await run('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes']);
    const untilUp = async () => void (await Promise.all(nodes.map(({ port }) => untilClusterIsUp(port))));
    await untilUp();
    return { nodes, masters, untilUp, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startMaster(folder: string, index: number): Promise<RedisServer> {
  const busPort = String(await freePort());
  const cluster = ['--cluster-enabled', 'yes', '--cluster-port', busPort];
  return startRedisServer({ args: [...cluster, '--cluster-config-file', join(folder, `nodes-${index}.conf`)] });
}

async function untilClusterIsUp(port: number): Promise<void> {
  for (;;) {
    const { stdout } = await run('redis-cli', ['-p', String(port), 'cluster', 'info']);
    if (stdout.includes('cluster_state:ok') && stdout.includes('cluster_slots_ok:16384')) return;
    await delay(50);
  }
}
