import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { FileSessionStore, RedisSessionStore, type SessionData } from 'mcp-sdk-anypod/server';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cliScript, runCli, runCliJson } from '../../support/cli.js';
import { useRedis } from '../../support/servers/useRedis.js';

interface Shown {
  session: string;
  principal?: string;
  client?: { name: string };
}

const redis = useRedis({ enableAutoPipelining: true, socketTimeout: 5000 });
const on = () => ['--url', redis.server.url, '--prefix', 'few:'];
const ALICE = JSON.stringify(['https://id.example.com', 'alice']);
const MANY = 20_000;

function record(sessionId: string, createdMsAgo: number, client: string, principal?: string): SessionData {
  const createdAt = Date.now() - createdMsAgo;
  const initialize = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: client, version: '1.0' } };
  const mcp = { initialize, protocolVersion: '2025-06-18', principal };
  return { sessionId, initialized: true, createdAt, lastActivity: createdAt, metadata: { mcp, token: 'very-secret' } };
}

beforeAll(async () => {
  const store = new RedisSessionStore({ redis: redis.client, keyPrefix: 'few:' });
  const records = [
    record('aaaaaaaa-1', 1000, 'web', ALICE),
    record('aaaaaaaa-2', 5_000_000, 'desktop', ALICE),
    record('bbbbbbbb-1', 5_000_000, 'web')
  ];
  for (const data of records) await store.storeSession(data.sessionId, data);
  await store.putState('bbbbbbbb-1', '{"basket":["confidential"]}');
});

const list = async (...args: string[]) => {
  const { code, json } = await runCliJson<{ sessions: Shown[]; more: boolean }>([
    'sessions',
    'list',
    '--full',
    ...on(),
    ...args
  ]);
  return { code, ids: json.sessions.map(({ session }) => session).sort(), more: json.more };
};

describe('sessions list', () => {
  it('prints aligned columns with cut ids, and neither tokens nor states', async () => {
    const { code, stdout } = await runCli(['sessions', 'list', ...on()]);
    const lines = stdout.trimEnd().split('\n');
    expect([code, lines.length]).toEqual([0, 4]);
    expect(lines[0]).toMatch(/^SESSION +AGE +IDLE +CLIENT +PROTOCOL +PRINCIPAL +SERVER$/);
    const column = lines[0]!.indexOf('CLIENT');
    for (const line of lines.slice(1)) expect(line.slice(column)).toMatch(/^(web|desktop) 1\.0/);
    expect(stdout).toContain('alice of https://id.example.com');
    for (const text of ['aaaaaaaa-1', 'very-secret', 'confidential']) expect(stdout).not.toContain(text);
  });

  it('selects by principal, client and age', async () => {
    expect((await list('--principal', ALICE)).ids).toEqual(['aaaaaaaa-1', 'aaaaaaaa-2']);
    expect((await list('--client', 'web')).ids).toEqual(['aaaaaaaa-1', 'bbbbbbbb-1']);
    expect((await list('--older', '1h')).ids).toEqual(['aaaaaaaa-2', 'bbbbbbbb-1']);
    expect((await list('--older', '1h', '--principal', ALICE)).ids).toEqual(['aaaaaaaa-2']);
    expect(await list('--limit', '1')).toMatchObject({ code: 0, more: true });
  });

  it('reads files as well, and does not create a directory', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cli-sessions-'));
    const store = new FileSessionStore({ path: join(folder, 'store') });
    await store.storeSession('cccccccc-1', record('cccccccc-1', 0, 'web'));
    await store.close();
    const { json } = await runCliJson<{ sessions: Shown[] }>(['sessions', 'list', '--url', `file:${folder}/store`]);
    expect(json.sessions).toHaveLength(1);
    const { code, stderr } = await runCli(['sessions', 'list', '--url', `file:${folder}/other`]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('is not a directory of sessions')]);
    await rm(folder, { recursive: true });
  });
});

describe('sessions show', () => {
  it('takes the beginning of an id, and prints the state only if it is asked to', async () => {
    const { code, stdout } = await runCli(['sessions', 'show', 'bbbbbb', ...on()]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\nstateBytes +27\n?/);
    expect(stdout).toMatch(/\notherMetadata +\["token"\]/);
    for (const text of ['bbbbbbbb-1', 'very-secret', 'confidential']) expect(stdout).not.toContain(text);
    expect((await runCli(['sessions', 'show', 'bbbbbbbb-1', '--state', ...on()])).stdout).toContain('confidential');
  });

  it('refuses a beginning that fits two sessions, is too short, or fits none', async () => {
    const two = await runCli(['sessions', 'show', 'aaaaaaaa', ...on()]);
    expect([two.code, two.stderr]).toEqual([1, expect.stringContaining('more than one session')]);
    expect((await runCli(['sessions', 'show', 'aaa', ...on()])).code).toBe(64);
    const none = await runCli(['sessions', 'show', 'dddddddd', ...on()]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/^mcp-sdk-anypod: no session dddddddd: .*\n$/)]);
  });
});

describe('the beginning of an id', () => {
  /** Sessions of their own. */
  async function given(prefix: string, ...ids: string[]) {
    const store = new RedisSessionStore({ redis: redis.client, keyPrefix: prefix });
    for (const id of ids) await store.storeSession(id, record(id, 0, 'web'));
    const args = ['--url', redis.server.url, '--prefix', prefix];
    const exist = () => Promise.all(ids.map(id => store.sessionExists(id)));
    return { args, exist };
  }

  it('that several sessions share ends none of them, nor any other that is named with it', async () => {
    const { args, exist } = await given('shared:', 'shared-1', 'shared-2', 'shared-20', 'single-1');
    const { code, stdout, stderr } = await runCli(['sessions', 'end', 'single', 'shared', ...args]);
    expect([code, stdout, stderr]).toEqual([
      1,
      '',
      'mcp-sdk-anypod: more than one session begins with shared: give more of the id\n'
    ]);
    expect(await exist()).toEqual([true, true, true, true]);
    // A whole id is taken as it is, although another one begins with it.
    expect((await runCli(['sessions', 'end', 'shared-2', ...args])).code).toBe(0);
    expect(await exist()).toEqual([true, false, true, true]);
    const cut = await runCli(['sessions', 'end', 'shared-2…', ...args]);
    expect([cut.code, await exist()]).toEqual([0, [true, false, false, true]]);
  });

  it('does not fit sessions that have expired, although their ids may still be in the index', async () => {
    const { args } = await given('stale:', 'shared-1', 'shared-2', 'gone-forever');
    await redis.client.del('stale:{shared-1}', 'stale:{gone-forever}');
    expect((await runCli(['sessions', 'show', 'shared', '--full', ...args])).stdout).toMatch(/^session +shared-2$/m);
    for (const id of ['gone-f', 'gone-forever']) {
      const { code, stdout, stderr } = await runCli(['sessions', 'end', id, ...args]);
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining('it has ended or expired')]);
    }
  });

  it('may name a session twice, which is ended once', async () => {
    const { args } = await given('twice:', 'single-1');
    const { json } = await runCliJson(['sessions', 'end', 'single-1', 'single', ...args]);
    expect(json).toEqual({ ended: 1, of: 1, podsTold: true });
  });
});

describe('sessions watch', () => {
  it('prints a line of JSON for each session that is there, and ends with 0 at Ctrl-C', async () => {
    const args = [await cliScript(), 'sessions', 'watch', '--json', '--full', '--client', 'desktop', ...on()];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    expect(JSON.parse(line)).toMatchObject({ event: 'there', session: 'aaaaaaaa-2' });
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

describe('wrong commands about sessions end with one line, and change nothing', () => {
  it.each([
    ['no action', []],
    ['an unknown action', ['stop']],
    ['no sessions to end', ['end']],
    ['ids and a selection', ['end', 'aaaaaaaa-1', '--client', 'web']],
    ['a selection without --yes on no terminal', ['end', '--client', 'web']],
    ['a duration without a unit', ['list', '--older', '5']],
    ['a limit that is no number', ['list', '--limit', 'all']],
    ['an interval that is no duration', ['watch', '--interval', 'x']]
  ])('%s', async (_title, args) => {
    const { code, stdout, stderr } = await runCli(['sessions', ...args, ...on()]);
    expect([code, stdout, stderr.trim().split('\n').length]).toEqual([64, '', 1]);
    expect((await list()).ids).toHaveLength(3);
  });

  it('a backend that does not answer', async () => {
    const { code, stderr } = await runCli(['sessions', 'list', '--url', 'redis://127.0.0.1:1']);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^mcp-sdk-anypod: No Redis answers at redis:\/\/127\.0\.0\.1:1 .*\n$/)
    ]);
  });
});

describe(`with ${MANY} sessions`, () => {
  /** How many commands Redis has run. None of them reads all keys. */
  async function callsSoFar(): Promise<number> {
    const stats = await redis.client.info('commandstats');
    expect(stats).not.toMatch(/cmdstat_(keys|scan):/);
    const counts = [...stats.matchAll(/cmdstat_\w+.*?:calls=(\d+)/g)].map(([, count]) => Number(count));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  it('the first page needs no KEYS, no SCAN, and a small part of the store', async () => {
    const store = new RedisSessionStore({ redis: redis.client, keyPrefix: 'many:' });
    for (let i = 0; i < MANY; i += 5000) {
      const ids = Array.from({ length: 5000 }, (_, j) => `session-${i + j}`);
      await Promise.all(ids.map(id => store.storeSession(id, record(id, 0, 'web'))));
    }
    await store.storeSession('needle-in-the-haystack', record('needle-in-the-haystack', 0, 'desktop'));
    await redis.client.config('RESETSTAT');
    const { json } = await runCliJson<{ sessions: Shown[]; more: boolean }>([
      'sessions',
      'list',
      '--url',
      redis.server.url,
      '--prefix',
      'many:'
    ]);
    expect([json.sessions.length, json.more]).toEqual([50, true]);
    expect(await callsSoFar()).toBeLessThan(MANY / 5);
    const on = ['--url', redis.server.url, '--prefix', 'many:'];
    const needle = await runCli(['sessions', 'show', 'needle', ...on]);
    expect([needle.code, needle.stdout]).toEqual([0, expect.stringMatching(/^session +needle-i…$/m)]);
    const shared = await runCli(['sessions', 'end', 'session', ...on]);
    expect([shared.code, shared.stderr]).toEqual([1, expect.stringContaining('more than one session begins with')]);
    // Whether a session still exists is asked for each one; no record of others is read.
    expect(await callsSoFar()).toBeLessThan(4 * MANY);
    expect(await redis.client.info('commandstats')).not.toMatch(/cmdstat_hgetall:calls=\d{4}/);
    const search = await runCli(['sessions', 'show', 'unknown', ...on]);
    const lines = search.stderr.trimEnd().split('\n');
    expect([search.code, ...lines]).toEqual([
      1,
      'Looks through all sessions, 20000 so far: with the whole id no search is needed.',
      expect.stringMatching(/^mcp-sdk-anypod: no session /)
    ]);
  });
});
