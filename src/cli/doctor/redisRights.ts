import { createHash } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { PUBLISH } from '../../backends/redis/busScripts.js';
import type { Script } from '../../backends/redis/database.js';
import { APPEND_EVENT } from '../../backends/redis/eventScripts.js';
import type { RedisKeys } from '../../backends/redis/keys.js';
import { LOCK_SCRIPTS } from '../../backends/redis/lockScripts.js';
import { SESSION_SCRIPTS } from '../../backends/redis/sessionScripts.js';
import * as TASK_SCRIPTS from '../../backends/redis/taskScripts.js';
import { Date } from '../../timers.js';
import type { Findings } from '../finding.js';

type Argument = string | number;
type Step = [what: string, keys: readonly string[], ...args: Argument[]];

/**
 * What the package sends, by itself and within scripts, on keys of a session that only this call knows. All of them live
 * for a minute at most.
 */
export function commandsOf(keys: RedisKeys, id: string): Step[] {
  const [session, record, index] = [[keys.session(id)], [keys.record(id)], [keys.principalIndex(id)]];
  const [events, messages, copy] = [[keys.events(id)], [keys.taskMessages(id, 'doctor')], keys.lock(id)];
  return [
    ['SET', session, '1', 'EX', 60],
    ['GETEX', session, 'EX', 60],
    ['GET', session],
    ['MGET', session],
    ['EXISTS', session],
    ['PTTL', session],
    ['INCRBY', session, 1],
    ['PEXPIRE', session, 60_000],
    ['PEXPIREAT', session, Date.now() + 60_000],
    ['HSET', record, 't', 1],
    ['EXPIRE', record, 60],
    ['HGET', record, 't'],
    ['HMGET', record, 't'],
    ['HGETALL', record],
    ['HKEYS', record],
    ['HINCRBY', record, 't', 1],
    ['HDEL', record, 't'],
    ['ZADD', index, 1, 'doctor'],
    ['EXPIRE', index, 60],
    ['ZSCAN', index, 0],
    ['ZRANGE', index, 0, -1],
    ['ZREVRANGE', index, 0, 0],
    ['ZRANGEBYSCORE', index, 0, 1],
    ['ZSCORE', index, 'doctor'],
    ['ZRANK', index, 'doctor'],
    ['ZREM', index, 'other'],
    ['ZREMRANGEBYSCORE', index, '-inf', 1],
    ['XADD', events, 'MAXLEN', '~', 10, '*', 'message', '{}'],
    ['EXPIRE', events, 60],
    ['XLEN', events],
    ['XRANGE', events, '-', '+', 'COUNT', 1],
    ['XREVRANGE', events, '+', '-', 'COUNT', 1],
    ['RPUSH', messages, 'doctor'],
    ['EXPIRE', messages, 60],
    ['LLEN', messages],
    ['LPOP', messages],
    ['COPY', session, copy],
    ['RENAME', session, copy],
    ['DEL', [copy]],
    ['UNLINK', events],
    ['TIME', []]
  ];
}

type ScriptStep = [what: string, script: Script, keys: readonly string[], ...args: Argument[]];

function scriptsOf(keys: RedisKeys, id: string): ScriptStep[] {
  const session = [keys.session(id), keys.record(id), keys.tombstone(id)];
  const lock = [keys.lock(id), keys.lockQueue(id), keys.lockPlaces(id)];
  const task = [keys.task(id, 'doctor'), keys.tasks(id), keys.taskExpiries(id)];
  const fields = ['status', 'working', 'lifetimeMs', 60_000];
  const { create, patch, touchRecord, index, getOwner, getState, putState, delete: remove } = SESSION_SCRIPTS;
  return [
    ['opening a session', create, session, 60, 60, 1, 't', Date.now()],
    ['changing a session', patch, session.slice(0, 2), 1, 1, 'l', 'info'],
    ['refreshing a session', touchRecord, session.slice(0, 2), 60, 60, Date.now()],
    ['reading the owner of a session', getOwner, session.slice(0, 2)],
    ['the index of sessions', index, [keys.principalIndex(id)], 60, id],
    ['writing a state', putState, session.slice(0, 2), '', 'doctor'],
    ['reading a state', getState, session.slice(0, 2)],
    ['a lock', LOCK_SCRIPTS.acquire, lock, 'doctor', 60_000],
    ['waiting for a lock', LOCK_SCRIPTS.acquire, lock, 'other', 60_000],
    ['renewing a lock', LOCK_SCRIPTS.renew, lock.slice(0, 1), 'doctor', 60_000],
    ['releasing a lock', LOCK_SCRIPTS.release, lock, 'doctor'],
    ['leaving the queue of a lock', LOCK_SCRIPTS.release, lock, 'other'],
    ['the event log', APPEND_EVENT, [keys.events(id)], 10, 60, '{}', 'doctor', '-'],
    ['creating a task', TASK_SCRIPTS.CREATE_TASK, task, 'doctor', 60_000, ...fields],
    ['ending a session', remove, session, 1, 'doctor']
  ];
}

/** The client's methods of this module. */
interface Caller {
  call(command: string, ...args: Argument[]): Promise<unknown>;
}

/**
 * Tries every command and every script, and removes what it wrote. A right is never concluded from an ACL: a command is
 * run, and the server says whether the user may.
 */
export async function checkRights(
  redis: Redis | Cluster,
  user: string,
  keys: RedisKeys,
  findings: Findings
): Promise<void> {
  const id = `doctor-${globalThis.crypto.randomUUID()}`;
  const failed = new Map<string, string>();
  let count = 0;
  const attempt = async (what: string, run: () => Promise<unknown>): Promise<void> => {
    count++;
    await run().catch((error: Error) => failed.set(what, error.message));
  };
  const caller = redis as unknown as Caller;
  for (const [name, on, ...args] of commandsOf(keys, id)) {
    await attempt(name, () => caller.call(name, ...on, ...args));
  }
  for (const [what, script, on, ...args] of scriptsOf(keys, id))
    await attempt(what, () => runScript(redis, script, on, args));
  if (redis.isCluster) {
    const channel = `${keys.session(id)}:channel`;
    await attempt('publishing on a Cluster', () => runScript(redis, PUBLISH, [channel], [channel, '']));
  }
  for (const key of writtenBy(keys, id)) await redis.unlink(key).catch(() => {});
  report(failed, count, user, keys, findings);
}

/** The keys that may be left if a step was not allowed. */
function writtenBy(keys: RedisKeys, id: string): string[] {
  const ofSession = [keys.session(id), keys.record(id), keys.lock(id), keys.lockQueue(id), keys.lockPlaces(id)];
  const ofTask = [keys.task(id, 'doctor'), keys.tasks(id), keys.taskExpiries(id), keys.taskMessages(id, 'doctor')];
  return [...ofSession, ...ofTask, keys.tombstone(id), keys.principalIndex(id), keys.events(id)];
}

/** As a client library does: the digest first, then the text. */
async function runScript(
  redis: Redis | Cluster,
  script: Script,
  on: readonly string[],
  args: Argument[]
): Promise<void> {
  const all = [script.numberOfKeys, ...on, ...args];
  const caller = redis as unknown as Caller;
  const digest = createHash('sha1').update(script.lua).digest('hex');
  try {
    await caller.call('EVALSHA', digest, ...all);
  } catch (error) {
    if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
    await caller.call('EVAL', script.lua, ...all);
  }
}

/** The states in which Redis refuses writes of every user. */
const REFUSALS: readonly { pattern: RegExp; check: string; what: string; fix: string }[] = [
  {
    pattern: /^OOM|OOM command not allowed|'maxmemory'/,
    check: 'memory',
    what: 'Redis is full and refuses writes',
    fix: 'redis-cli CONFIG SET maxmemory with more memory, or end sessions: npx mcp-sdk-anypod sessions list'
  },
  {
    pattern: /MISCONF/,
    check: 'persistence',
    what: 'Redis refuses writes because it cannot save to disk',
    fix: 'df -h on its machine; until then redis-cli CONFIG SET stop-writes-on-bgsave-error no'
  },
  {
    pattern: /NOREPLICAS/,
    check: 'replicas',
    what: 'Redis refuses writes because it has too few replicas (min-replicas-to-write)',
    fix: 'redis-cli INFO replication, then start the missing replica'
  },
  {
    pattern: /READONLY/,
    check: 'kind',
    what: 'this is a replica, which takes no writes',
    fix: 'name the master: redis-cli INFO replication shows master_host and master_port'
  },
  {
    pattern: /CLUSTERDOWN/,
    check: 'cluster',
    what: 'the Cluster is down: not all slots are served',
    fix: 'redis-cli --cluster check HOST:PORT'
  }
];

function report(
  failed: ReadonlyMap<string, string>,
  count: number,
  user: string,
  keys: RedisKeys,
  findings: Findings
): void {
  if (failed.size === 0)
    return findings.ok('rights', `the user may run all ${count} commands and scripts that are used`);
  const messages = [...failed.values()];
  for (const { pattern, check, what, fix } of REFUSALS) {
    if (!messages.some(message => pattern.test(message))) continue;
    // INFO has shown it already.
    if (findings.all.some(finding => finding.check === check && finding.level === 'fatal')) return;
    return findings.fatal(check, what, { why: 'no session can be opened, and requests are answered 503', fix });
  }
  const denied = [...failed].filter(([, message]) => isDenial(message));
  for (const [what, message] of failed) {
    if (isDenial(message)) continue;
    findings.fatal('commands', `${what} fails: ${withoutScript(message)}`, {
      why: 'requests that need it are answered 503',
      fix: 'compare the version of the server: it needs Redis 6.2 or later, or Valkey'
    });
    break;
  }
  if (denied.length > 0) reportDenied(denied, user, keys, findings);
}

function isDenial(message: string): boolean {
  return /NOPERM|ACL failure|can't run this command|can't access|no permission/i.test(message);
}

function reportDenied(
  denied: [what: string, message: string][],
  user: string,
  keys: RedisKeys,
  findings: Findings
): void {
  const pattern = keys.session('').replace('{}', '*');
  const onKeys = denied.some(([, message]) => /\bkeys?\b/.test(message));
  const names = denied.filter(([, message]) => !/\bkeys?\b/.test(message)).map(([what]) => what);
  // A script fails because of a command in it. If that one is known, the script need not be named.
  const commands = names.filter(name => /^[A-Z]+$/.test(name)).map(name => name.toLowerCase());
  const missing = commands.length > 0 ? commands : names;
  const parts = [
    ...(missing.length > 0 ? [`may not run ${missing.join(', ')}`] : []),
    ...(onKeys ? [`may not use keys that begin with ${pattern.slice(0, -1)}`] : [])
  ];
  const rights = [
    ...(onKeys ? [`~${pattern}`] : []),
    ...missing.map(name => (/^[a-z]+$/.test(name) ? `+${name}` : '+eval +evalsha'))
  ];
  findings.fatal('rights', `the user ${user} ${parts.join(', and ')}`, {
    why: 'requests that need it are answered 503',
    fix: `redis-cli ACL SETUSER ${user} ${[...new Set(rights)].join(' ')} (src/backends/redis/README.md has the complete line)`
  });
}

function withoutScript(message: string): string {
  return message.replace(/,? script: [0-9a-f]{40}.*/s, '').slice(0, 200);
}
