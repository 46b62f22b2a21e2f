import type { Redis } from 'ioredis';
import type { Findings } from '../finding.js';
import { connectNode, type RedisTarget } from '../redisConnection.js';

const SLOTS = 16_384;
/** Ranges of slots that are named. */
const MAX_NAMED = 5;
/** Of a node of the Cluster that others cannot reach, or suspect of it. */
const DOWN = /\bfail\??(,|$)/;

type Shard = [from: number, to: number, master: [host: string, port: number]];

const SOME_503 = 'requests of sessions in these slots are answered 503';
const TO_DO_IF_DOWN = 'start it, or run redis-cli CLUSTER FAILOVER TAKEOVER on its replica';

/** Names the slots that no node serves, and masters that do not answer. @returns whether every slot is served */
export async function checkSlots(node: Redis, target: RedisTarget, findings: Findings): Promise<boolean> {
  const shards = (await node.cluster('SLOTS').catch(() => [])) as unknown as Shard[];
  const state = /cluster_state:(\w+)/.exec(await node.cluster('INFO').catch(() => ''))?.[1];
  // A user may have neither right. Then the first command that fails says so.
  if (state === undefined || shards.length === 0) return true;
  const why =
    state === 'ok'
      ? SOME_503
      : 'the Cluster refuses every command (cluster-require-full-coverage), so every request is answered 503';
  const [free, down, where] = [unassigned(shards), await mastersDown(node), addressOf(node)];
  const fix = `redis-cli --cluster check ${where}, then redis-cli --cluster fix ${where}`;
  if (free.length > 0) {
    findings.fatal('cluster', `${countOf(free)} of ${SLOTS} slots belong to no node: ${named(free)}`, { why, fix });
  }
  for (const address of down) {
    findings.fatal('cluster', `${address}, a master with slots, does not answer the other nodes`, {
      why,
      fix: TO_DO_IF_DOWN
    });
  }
  if (free.length > 0 || down.length > 0) return false;
  if (state === 'ok') return checkMasters(shards, target, findings);
  findings.fatal('cluster', `cluster_state is ${state}`, { why, fix });
  return false;
}

/** Tries a connection to each master. @returns whether all of them answer this machine */
async function checkMasters(shards: readonly Shard[], target: RedisTarget, findings: Findings): Promise<boolean> {
  const masters = new Map(shards.map(([, , [host, port]]) => [`${host}:${port}`, { host, port }]));
  const problems = await Promise.all(
    [...masters].map(async ([address, place]) => {
      try {
        (await connectNode(target, place)).disconnect();
        return undefined;
      } catch (error) {
        return `${address}, a master with slots, does not answer (${(error as Error).message})`;
      }
    })
  );
  for (const what of problems) {
    if (what === undefined) continue;
    findings.fatal('cluster', what, {
      why: `a client connects to each master: ${SOME_503}`,
      fix: `${TO_DO_IF_DOWN}; if it runs, set cluster-announce-ip and cluster-announce-port on it to an address that the pods reach`
    });
  }
  return problems.every(what => what === undefined);
}

export function addressOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}

type Range = readonly [from: number, to: number];

function unassigned(shards: readonly Shard[]): Range[] {
  const ranges: Range[] = [];
  let next = 0;
  for (const [from, to] of [...shards].sort(([a], [b]) => a - b)) {
    if (from > next) ranges.push([next, from - 1]);
    next = Math.max(next, to + 1);
  }
  return next < SLOTS ? [...ranges, [next, SLOTS - 1]] : ranges;
}

function countOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
}

function named(ranges: readonly Range[]): string {
  const texts = ranges.slice(0, MAX_NAMED).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return [...texts, ...(ranges.length > MAX_NAMED ? ['…'] : [])].join(', ');
}

/** The addresses of masters that have slots and do not answer. Empty if the user may not ask. */
async function mastersDown(node: Redis): Promise<string[]> {
  const text = String(await node.cluster('NODES').catch(() => ''));
  // ID HOST:PORT@BUSPORT FLAGS MASTER PING PONG EPOCH LINK SLOT...
  return text.split('\n').flatMap(line => {
    const [, address = '', flags = '', , , , , , ...slots] = line.split(' ');
    const isDown = flags.includes('master') && DOWN.test(flags) && slots.length > 0;
    return isDown ? [address.replace(/@.*/, '')] : [];
  });
}
