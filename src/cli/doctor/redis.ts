import type { Cluster, Redis } from 'ioredis';
import { DEFAULT_KEY_PREFIX, RedisKeys } from '../../backends/redis/keys.js';
import type { Findings } from '../finding.js';
import { connectCluster, connectNode, type RedisTarget, redisTarget } from '../redisConnection.js';
import type { StorageOptions } from '../storage.js';
import { checkBus } from './bus.js';
import { checkClock, checkPing } from './clock.js';
import { addressOf, checkSlots } from './redisCluster.js';
import { checkConnectionError, checkTls } from './redisConnection.js';
import { checkKeyspace, checkSessions } from './redisKeys.js';
import { checkRights } from './redisRights.js';
import {
  checkEviction,
  checkKind,
  checkMemory,
  checkPersistence,
  checkVersion,
  type Info,
  infoOf
} from './redisServer.js';
import { RedisSessionBus } from '../../backends/redis/sessionBus.js';

/** Examines a Redis. @returns its name, for the first line */
export async function examineRedis(options: StorageOptions, findings: Findings): Promise<string> {
  const target = redisTarget(options);
  const prefix = options.prefix ?? DEFAULT_KEY_PREFIX;
  const title = `Redis at ${target.shown}, prefix ${prefix}`;
  let node: Redis;
  try {
    node = await connectNode(target);
  } catch (error) {
    await checkConnectionError(error as Error, target, findings);
    return title;
  }
  try {
    await examineNode(node, target, prefix, findings);
  } finally {
    node.disconnect();
  }
  return title;
}

async function examineNode(node: Redis, target: RedisTarget, prefix: string, findings: Findings): Promise<void> {
  await checkPing(async () => void (await node.ping()), target.shown, findings);
  checkTls(node, target, findings);
  const info = await infoOf(node, findings);
  const kind = checkKind(info, findings);
  if (kind === 'sentinel') return;
  checkVersion(info, kind, findings);
  if (kind === 'replica') return;
  await checkClock(async () => timeOf(node), 'Redis', findings);
  if (kind === 'single') {
    checkServer(info, findings);
    await examineData(node, node, prefix, userOf(target), findings);
    return;
  }
  if (!(await checkSlots(node, target, findings))) return;
  let cluster: Cluster;
  try {
    cluster = await connectCluster(target);
  } catch (error) {
    findings.fatal('cluster', `the nodes of the Cluster cannot be reached: ${(error as Error).message}`, {
      why: 'a client asks one node for the addresses of all, and connects to each',
      fix: 'run this where the pods run, or set cluster-announce-ip and cluster-announce-port on each node to an address that they reach'
    });
    return;
  }
  try {
    await examineCluster(cluster, target, prefix, findings);
  } finally {
    cluster.disconnect();
  }
}

async function timeOf(node: Redis): Promise<number> {
  const [seconds, microseconds] = (await node.time()) as unknown as (string | number)[];
  return Number(seconds) * 1000 + Number(microseconds) / 1000;
}

async function examineCluster(
  cluster: Cluster,
  target: RedisTarget,
  prefix: string,
  findings: Findings
): Promise<void> {
  const masters = cluster.nodes('master');
  findings.ok('cluster', `${masters.length} masters serve all slots`);
  for (const master of masters) checkServer(await infoOf(master, findings), findings, ` on ${addressOf(master)}`);
  await examineData(cluster, masters[0] as Redis, prefix, userOf(target), findings);
}

function userOf({ address }: RedisTarget): string {
  return address.access.username ?? 'default';
}

function checkServer(info: Info, findings: Findings, where = ''): void {
  checkEviction(info, findings, where);
  checkMemory(info, findings, where);
  checkPersistence(info, findings, where);
}

async function examineData(
  redis: Redis | Cluster,
  node: Redis,
  prefix: string,
  user: string,
  findings: Findings
): Promise<void> {
  const keys = new RedisKeys(prefix);
  await checkRights(redis, user, keys, findings);
  const bus = new RedisSessionBus({ redis, keyPrefix: prefix });
  await checkBus(bus, findings, {
    why: 'answers of clients, cancellations and DELETE do not reach the other pods',
    fix: `allow +publish +subscribe +unsubscribe (on a Cluster +spublish +ssubscribe +sunsubscribe) and the channels &${prefix}bus:*`
  });
  await checkKeyspace(node, findings);
  await checkSessions(redis, keys, findings);
}
