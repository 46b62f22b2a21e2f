import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type ClientStorage,
  FileStorageBackend,
  MemoryStorageBackend,
  PostgresStorageBackend,
  RedisStorageBackend,
  SqliteStorage
} from 'mcp-sdk-anypod/client-sessions';
import { openFromEnvironment } from '../../../src/clientStorage/fromEnvironment.js';
import { ClientStorage as Storage } from '../../../src/clientStorage/clientStorage.js';
import { useRedisAndPostgres } from '../../support/servers/useRedisAndPostgres.js';

const run = promisify(execFile);
const hasSqlite = process.getBuiltinModule('node:sqlite') !== undefined;
/** As the documentation of the library shows it. */
const session = {
  sessionId: 'abc123',
  identity: 'user-123',
  serverId: 'server-id',
  serverName: 'My Server',
  serverUrl: 'https://mcp.example.com',
  callbackUrl: 'https://myapp.com/callback',
  transportType: 'sse' as const,
  active: true,
  createdAt: 1_706_234_567_890
};

const servers = useRedisAndPostgres();
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'anypod-clients-'))));
afterAll(() => rm(folder, { recursive: true }));

const backends: [string, () => ClientStorage][] = [
  ['RedisStorageBackend', () => new RedisStorageBackend(servers.client)],
  ['PostgresStorageBackend', () => new PostgresStorageBackend(servers.pool)],
  ['FileStorageBackend', () => new FileStorageBackend({ path: join(folder, 'new/sessions.json') })],
  ['MemoryStorageBackend', () => new MemoryStorageBackend()],
  ...(hasSqlite
    ? [['SqliteStorage', () => new SqliteStorage({ path: join(folder, 'new.db') })] as [string, () => ClientStorage]]
    : [])
];

describe.each(backends)('%s', (_name, make) => {
  test('does what its documentation shows', async () => {
    const storage = make();
    await storage.init();
    expect(await storage.createSession(session)).toEqual(session);
    await expect(storage.createSession(session)).rejects.toMatchObject({ code: 'ANYPOD_SESSION_EXISTS' });
    const tokens = { access_token: 'new-token', token_type: 'Bearer' };
    await storage.updateSession('user-123', 'abc123', { active: false, tokens });
    // With all fields, as read.
    await storage.updateSession('user-123', 'abc123', { ...session, tokens });
    expect(await storage.getSession('user-123', 'abc123')).toEqual({ ...session, tokens });
    expect(await storage.getSession('another', 'abc123')).toBeNull();
    const second = await storage.createSession({ ...session, sessionId: storage.generateSessionId(), createdAt: 1 });
    await storage.createSession({ ...session, sessionId: 'other', identity: 'another' });
    expect(await storage.getIdentitySessionsData('user-123')).toEqual([second, { ...session, tokens }]);
    expect(await storage.getIdentityMcpSessions('user-123')).toEqual([second.sessionId, 'abc123']);
    expect((await storage.getAllSessionIds()).sort()).toEqual(['abc123', 'other', second.sessionId].sort());
    await storage.cleanupExpiredSessions();
    await storage.removeSession('user-123', 'abc123');
    expect(await storage.getSession('user-123', 'abc123')).toBeNull();
    await expect(storage.updateSession('user-123', 'abc123', {})).rejects.toMatchObject({
      code: 'ANYPOD_CLIENT_SESSION_NOT_FOUND'
    });
    await storage.clearAll();
    expect(await storage.getAllSessionIds()).toEqual([]);
    await storage.disconnect();
    await storage.disconnect();
  });

  test('keeps the OAuth data of a session for every provider of it', async () => {
    const storage = make();
    const { sessionId } = await storage.createSession({ ...session, sessionId: storage.generateSessionId() });
    const options = { redirectToAuthorization: () => {} };
    const provider = await storage.oauthProvider('user-123', sessionId, options);
    await provider.saveClientInformation!({ client_id: 'c' });
    await provider.saveTokens({ access_token: 't', token_type: 'Bearer' });
    const elsewhere = await storage.oauthProvider('user-123', sessionId, options);
    expect(await elsewhere.tokens()).toMatchObject({ access_token: 't' });
    expect(await storage.getSession('user-123', sessionId)).toMatchObject({ clientInformation: { client_id: 'c' } });
    await storage.clearAll();
    await storage.disconnect();
  });

  test('refuses a wrong session by the name of the field, and a lifetime for one session', async () => {
    const storage = make();
    await expect(storage.createSession({ ...session, serverUrl: 'x' })).rejects.toMatchObject({ option: 'serverUrl' });
    await expect(storage.createSession(session, 600 as never)).rejects.toMatchObject({ option: 'ttl' });
    await expect(storage.getSession('', 'a')).rejects.toMatchObject({ option: 'identity' });
    await storage.disconnect();
  });
});

test('an unused session lives for twelve hours', async () => {
  const storage = new RedisStorageBackend(servers.client);
  await storage.createSession({ ...session, sessionId: 'twelve' });
  expect(await servers.client.ttl('mcp:client:{twelve}')).toBe(43_200);
});

describe('the JSON file', () => {
  test('is the array that the library wrote, and keeps what is not a session', async () => {
    const path = join(folder, 'theirs.json');
    await writeFile(path, JSON.stringify([session, { note: 'mine' }], null, 2));
    const storage = new FileStorageBackend({ path });
    expect(await storage.getIdentitySessionsData('user-123')).toEqual([session]);
    await storage.updateSession('user-123', 'abc123', { active: false });
    const written = JSON.parse(await readFile(path, 'utf8')) as object[];
    expect(written).toEqual([{ ...session, active: false, lastUsed: expect.any(Number) as number }, { note: 'mine' }]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    // By an editor.
    await writeFile(path, JSON.stringify([{ ...session, serverName: 'Edited' }]));
    expect(await storage.getSession('user-123', 'abc123')).toMatchObject({ serverName: 'Edited' });
    expect(await readdir(folder)).not.toContain('theirs.json.lock');
  });

  test('is not written if it is something else, and a directory is refused', async () => {
    const path = join(folder, 'other.json');
    for (const text of ['{"a":1}', 'not JSON']) {
      await writeFile(path, text);
      await expect(new FileStorageBackend({ path }).createSession(session)).rejects.toThrow(/is not a JSON array/);
      expect(await readFile(path, 'utf8')).toBe(text);
    }
    await expect(new FileStorageBackend({ path: folder }).init()).rejects.toMatchObject({ option: 'path' });
  });

  test('loses no session that several processes create at the same time, one of which died with the lock', async () => {
    const path = join(folder, 'shared.json');
    await writeFile(`${path}.lock`, '');
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(`${path}.lock`, longAgo, longAgo);
    const code = `
      import { FileStorageBackend } from './src/clientStorage/index.ts';
      const storage = new FileStorageBackend({ path: process.argv[1] });
      for (let i = 0; i < 20; i++) await storage.createSession({ identity: 'a', serverUrl: 'https://x.example.com' });`;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', code, path];
    await Promise.all([1, 2].map(() => run(process.execPath, args)));
    expect(await new FileStorageBackend({ path }).getAllSessionIds()).toHaveLength(40);
  });
});

describe('the storage that the environment names', () => {
  const open = (env: Record<string, string>) => new Storage(() => openFromEnvironment(env));
  const kept = async (env: Record<string, string>) => {
    const storage = open(env);
    const created = await storage.createSession({ ...session, sessionId: storage.generateSessionId() });
    const again = open(env);
    const found = await again.getSession('user-123', created.sessionId);
    await Promise.all([storage.disconnect(), again.disconnect()]);
    return found !== null;
  };

  test('is Redis by REDIS_URL, and Postgres by either name of the type', async () => {
    expect(await kept({ REDIS_URL: servers.redis.url, DATABASE_URL: 'postgres://127.0.0.1:1/x' })).toBe(true);
    for (const MCP_TS_STORAGE_TYPE of ['postgres', 'PostgreSQL']) {
      expect(await kept({ MCP_TS_STORAGE_TYPE, DATABASE_URL: servers.postgres.url })).toBe(true);
    }
    expect(await kept({ DATABASE_URL: servers.postgres.url })).toBe(true);
    expect(await servers.postgres.query('select count(*) > 0 as found from anypod.mcp_client_session')).toEqual([
      { found: true }
    ]);
  });

  test('is one JSON file, also if the application has a DATABASE_URL of its own', async () => {
    const path = join(folder, 'env.json');
    expect(await kept({ MCP_TS_STORAGE_FILE: path, DATABASE_URL: 'postgres://127.0.0.1:1/x' })).toBe(true);
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject([{ identity: 'user-123' }]);
  });

  test('is beside the directory in which a transport keeps its sessions', async () => {
    const [there, later] = [join(folder, 'there'), join(folder, 'later')];
    await mkdir(there);
    for (const path of [there, later]) {
      expect(await kept({ MCP_TS_STORAGE_FILE: path })).toBe(true);
      expect(JSON.parse(await readFile(`${path}-clients.json`, 'utf8'))).toHaveLength(1);
    }
    expect(await readdir(there)).toEqual([]);
    expect(await readdir(folder)).not.toContain('later');
  });

  test('is memory if nothing is named, with a warning in production', async () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    try {
      expect(await kept({})).toBe(false);
      expect(emitWarning).not.toHaveBeenCalled();
      expect(await kept({ NODE_ENV: 'production' })).toBe(false);
      expect(emitWarning.mock.calls.map(([message]) => message)).toEqual([expect.stringContaining('Set REDIS_URL')]);
    } finally {
      emitWarning.mockRestore();
    }
  });

  test.each([
    [
      'a Redis that does not answer',
      { REDIS_URL: 'redis://u:sesame@127.0.0.1:1' },
      'No Redis answers at redis://127.0.0.1:1'
    ],
    ['Postgres without an address', { MCP_TS_STORAGE_TYPE: 'postgres' }, 'DATABASE_URL'],
    ['an unknown type', { MCP_TS_STORAGE_TYPE: 'mysql' }, "'redis' or 'postgres' or 'postgresql' or 'sqlite'"],
    ...(hasSqlite
      ? []
      : [
          ['SQLite on a Node without it', { MCP_TS_STORAGE_TYPE: 'sqlite' }, 'has no node:sqlite'] as [
            string,
            Record<string, string>,
            string
          ]
        ])
  ])('is an error, and not memory, if it is %s', async (_what, env, message) => {
    const failing = open(env).createSession(session);
    await expect(failing).rejects.toThrow(message);
    await expect(failing).rejects.not.toThrow('sesame');
  });
});
