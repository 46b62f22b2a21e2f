import type { Cluster, Redis } from 'ioredis';
import { SESSION_INDEX_SHARES } from '../../backends/redis/sessionIndex.js';
import type { RedisKeys } from '../../backends/redis/keys.js';
import { Date } from '../../timers.js';
import type { Findings } from '../finding.js';
import { age } from '../terminal.js';

/** Sessions whose ages are read. */
const SAMPLE = 200;

/** The keys of the server: how many, and whether some never expire. */
export async function checkKeyspace(node: Redis, findings: Findings): Promise<void> {
  const text = await node.info('keyspace').catch(() => '');
  const databases = [...text.matchAll(/^db(\d+):keys=(\d+),expires=(\d+)/gm)].map(([, name, keys, expires]) => ({
    name,
    keys: Number(keys),
    lasting: Number(keys) - Number(expires)
  }));
  if (databases.length === 0) return;
  const what = databases.map(({ name, keys }) => `${keys} keys in database ${name}`).join(', ');
  const lasting = databases.reduce((sum, each) => sum + each.lasting, 0);
  if (lasting === 0) return findings.ok('keyspace', `${what}; all of them expire`);
  findings.note(
    'keyspace',
    `${what}; ${lasting} of them never expire`,
    'they belong to other applications: every key of this package has a time to live'
  );
}

/** How many sessions there are, and how old a sample of them is. Reads indexes, never the whole keyspace. */
export async function checkSessions(redis: Redis | Cluster, keys: RedisKeys, findings: Findings): Promise<void> {
  const shares = Array.from({ length: SESSION_INDEX_SHARES }, (_, share) => keys.sessionIndex(share));
  try {
    const counts = await Promise.all(shares.map(key => redis.zcard(key)));
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return findings.ok('sessions', 'no sessions');
    const ids: string[] = [];
    for (const [share, count] of counts.entries()) {
      if (count > 0 && ids.length < SAMPLE)
        ids.push(...(await redis.zrange(shares[share] as string, '0', String(SAMPLE - ids.length))));
    }
    const created = (await Promise.all(ids.map(id => redis.hget(keys.record(id), 't')))).filter(time => time !== null);
    const ages = created.map(time => Date.now() - Number(time)).sort((a, b) => a - b);
    const [youngest, oldest] = [ages[0], ages.at(-1)];
    const known =
      youngest === undefined ? '' : `; of ${ages.length} of them, ages from ${age(youngest)} to ${age(oldest!)}`;
    findings.ok('sessions', `about ${total} sessions in the index${known}`);
  } catch (error) {
    findings.note('sessions', `not counted: ${(error as Error).message}`);
  }
}
