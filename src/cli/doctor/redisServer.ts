import type { Redis } from 'ioredis';
import type { Findings } from '../finding.js';
import { bytes } from '../terminal.js';

/** The fields of INFO; empty if the user may not ask. */
export type Info = Readonly<Record<string, string>>;

export type Kind = 'single' | 'cluster' | 'replica' | 'sentinel';

const FULL_PERCENT = 80;

export async function infoOf(node: Redis, findings: Findings): Promise<Info> {
  try {
    const text = await node.info();
    return Object.fromEntries(
      [...text.matchAll(/^([\w.]+):(.*?)\r?$/gm)].map(match => [match[1], match[2]] as [string, string])
    );
  } catch (error) {
    if (findings.all.some(({ check }) => check === 'info')) return {};
    findings.note(
      'info',
      `INFO is not allowed (${(error as Error).message})`,
      'so kind, version, eviction policy and memory are not checked here. ACL SETUSER USER +info allows it'
    );
    return {};
  }
}

/** Says what kind of server it is, and refuses those that take no writes. */
export function checkKind(info: Info, findings: Findings): Kind {
  if (info.redis_mode === 'sentinel') {
    const name = /name=([^,]+)/.exec(info.master0 ?? '')?.[1] ?? 'NAME';
    findings.fatal('kind', 'this is a Sentinel, which keeps no data', {
      why: 'sessions belong into the master that it watches',
      fix: `npx mcp-sdk-anypod doctor --sentinel ${name}; in the application: new Redis({ name: '${name}', sentinels: [{ host, port }] })`
    });
    return 'sentinel';
  }
  if (info.role === 'slave') {
    findings.fatal('kind', 'this is a replica, which takes no writes', {
      why: 'every new session and every change is refused, and what is read may be old',
      fix: `name the master, ${info.master_host}:${info.master_port}, or the address that follows it after a failover`
    });
    return 'replica';
  }
  if (info.redis_mode === 'cluster') {
    findings.ok('kind', 'a node of a Cluster');
    return 'cluster';
  }
  const replicas = Number(info.connected_slaves ?? 0);
  const single = replicas > 0 ? `a master with ${replicas} replica${replicas === 1 ? '' : 's'}` : 'a single server';
  if (info.role !== undefined) findings.ok('kind', single);
  return 'single';
}

export function checkVersion(info: Info, kind: Kind, findings: Findings): void {
  const isValkey = info.server_name === 'valkey' || info.valkey_version !== undefined;
  const version = (isValkey ? info.valkey_version : undefined) ?? info.redis_version;
  if (version === undefined) return;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const what = `${isValkey ? 'Valkey' : 'Redis'} ${version}`;
  if (major < 6 || (major === 6 && minor < 2)) {
    findings.fatal('version', `${what} is too old`, {
      why: 'it does not have GETEX, with which each request reads and refreshes its session',
      fix: 'upgrade to Redis 6.2 or later, or Valkey'
    });
  } else if (kind === 'cluster' && major < 7) {
    findings.warning('version', `${what} has no sharded channels`, {
      why: 'each message between pods goes to every node of the Cluster',
      fix: 'upgrade to Redis 7 or later, or Valkey'
    });
  } else findings.ok('version', what);
}

export function checkEviction(info: Info, findings: Findings, where: string): void {
  const { maxmemory_policy: policy } = info;
  if (policy === undefined) return;
  if (policy === 'noeviction') return findings.ok('eviction', `maxmemory-policy is noeviction${where}`);
  findings.warning('eviction', `maxmemory-policy is ${policy}${where}`, {
    why: 'when its memory is full, Redis removes sessions that are in use: their clients get 404 and must begin again',
    fix: 'redis-cli CONFIG SET maxmemory-policy noeviction, then redis-cli CONFIG REWRITE (or in the parameter group)'
  });
}

export function checkMemory(info: Info, findings: Findings, where: string): void {
  const used = Number(info.used_memory ?? NaN);
  if (Number.isNaN(used)) return;
  const limit = Number(info.maxmemory ?? 0);
  const most = limit || Number(info.total_system_memory ?? 0);
  const percent = most > 0 ? Math.round((100 * used) / most) : 0;
  const of = limit ? `maxmemory, ${bytes(limit)}` : `the memory of its machine, ${bytes(most)}`;
  const what = `${bytes(used)} are used, ${percent} % of ${of}${where}`;
  if (limit > 0 && used >= limit) {
    findings.fatal('memory', `Redis is full: ${what}`, {
      why: 'it refuses every write: no session can be opened, and requests are answered 503',
      fix: `redis-cli CONFIG SET maxmemory ${2 * limit} (with the memory for it), or end sessions: npx mcp-sdk-anypod sessions list`
    });
  } else if (percent >= FULL_PERCENT) {
    findings.warning('memory', what, {
      why: limit
        ? 'a full Redis refuses new sessions'
        : 'without maxmemory, the system ends Redis when memory is short',
      fix: `redis-cli CONFIG SET maxmemory ${Math.max(2 * used, limit)} on a machine that has it, or a shorter ttlSeconds`
    });
  } else if (limit > 0) findings.ok('memory', what);
  else
    findings.note(
      'memory',
      `${what}; no maxmemory is set`,
      'set one, so that Redis refuses writes before the system ends it'
    );
}

export function checkPersistence(info: Info, findings: Findings, where: string): void {
  if (info.rdb_last_bgsave_status === 'err' || info.aof_last_write_status === 'err') {
    findings.warning('persistence', `Redis could not write its data to disk${where}`, {
      why: 'by default it then refuses every write (MISCONF), and a restart loses the sessions since the last save',
      fix: 'df -h on its machine, then look for the reason in the log of Redis'
    });
  } else if (info.aof_enabled === '1') findings.ok('persistence', `an append-only file keeps the data${where}`);
  else if (info.aof_enabled === '0' && Number(info.connected_slaves ?? 0) === 0) {
    findings.note(
      'persistence',
      `no append-only file and no replica${where}`,
      'a restart of Redis loses the sessions since its last snapshot, or all: their clients get 404 and begin again'
    );
  }
}
