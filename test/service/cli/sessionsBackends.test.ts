import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { FileSessionStore, migrate, PostgresSessionStore } from 'mcp-sdk-anypod/server';
import { Pool } from 'pg';
import { RawClient } from '../../support/clients/rawClient.js';
import { cliScript, runCli, runCliJson } from '../../support/cli.js';
import { startPodForTest } from '../../support/pods/localPod.js';
import { PostgresServer } from '../../support/servers/postgresServer.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

type Store = FileSessionStore | PostgresSessionStore;

/** A backend with a schema or a directory of this name. */
interface Backend {
  open(name: string): Promise<{ store: Store; args: string[] }>;
  close(): Promise<void>;
}

async function postgres(): Promise<Backend> {
  const server = await PostgresServer.create();
  const pool = new Pool({ connectionString: server.url });
  return {
    async open(schema) {
      await migrate({ pool, schema });
      return { store: new PostgresSessionStore({ pool, schema }), args: ['--url', server.url, '--schema', schema] };
    },
    async close() {
      await pool.end();
      await server.destroy();
    }
  };
}

async function files(): Promise<Backend> {
  const folder = await mkdtemp(join(tmpdir(), 'cli-backends-'));
  return {
    async open(name) {
      const path = join(folder, name);
      const store = new FileSessionStore({ path });
      stopAfterTest(() => store.close());
      return { store, args: ['--url', `file:${path}`] };
    },
    close: () => rm(folder, { recursive: true })
  };
}

const ALICE = JSON.stringify(['https://id.example.com', 'alice']);

function keep(store: Store, sessionId: string, client: string, principal?: string): Promise<void> {
  const createdAt = Date.now() - 5_000_000;
  const initialize = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: client, version: '1.0' } };
  const mcp = { initialize, protocolVersion: '2025-06-18', principal };
  const metadata = { mcp, token: 'very-secret' };
  return store.storeSession(sessionId, { sessionId, initialized: true, createdAt, lastActivity: createdAt, metadata });
}

interface Shown {
  session: string;
  event?: string;
}

describe.each([
  ['Postgres', postgres],
  ['files', files]
] as const)('sessions on %s', (name, start) => {
  let backend: Backend;
  beforeAll(async () => (backend = await start()));
  afterAll(() => backend.close());

  async function three(place: string) {
    const { store, args } = await backend.open(place);
    await keep(store, 'aaaaaaaa-1', 'web', ALICE);
    await keep(store, 'aaaaaaaa-2', 'desktop', ALICE);
    await keep(store, 'bbbbbbbb-1', 'web');
    const list = async (...more: string[]) =>
      (await runCliJson<{ sessions: Shown[] }>(['sessions', 'list', '--full', ...args, ...more])).json.sessions
        .map(({ session }) => session)
        .sort();
    return { store, args, list };
  }

  it('list selects by principal, client and age, and prints neither whole ids nor tokens', async () => {
    const { args, list } = await three('list');
    expect(await list()).toEqual(['aaaaaaaa-1', 'aaaaaaaa-2', 'bbbbbbbb-1']);
    expect(await list('--principal', ALICE)).toEqual(['aaaaaaaa-1', 'aaaaaaaa-2']);
    expect(await list('--client', 'web', '--older', '1h')).toEqual(['aaaaaaaa-1', 'bbbbbbbb-1']);
    const { code, stdout } = await runCli(['sessions', 'list', ...args]);
    expect([code, stdout.split('\n')[0]]).toEqual([0, expect.stringMatching(/^SESSION +AGE +IDLE +CLIENT/)]);
    for (const text of ['aaaaaaaa-1', 'very-secret']) expect(stdout).not.toContain(text);
  });

  it('show finds a session by the beginning of its id, and prints its state only if it is asked to', async () => {
    const { store, args } = await three('show');
    await store.putState('bbbbbbbb-1', '{"basket":["confidential"]}');
    const { code, stdout } = await runCli(['sessions', 'show', 'bbbbbb', ...args]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\nstateBytes +27\n/)]);
    for (const text of ['bbbbbbbb-1', 'very-secret', 'confidential']) expect(stdout).not.toContain(text);
    expect((await runCli(['sessions', 'show', 'bbbbbbbb-1', '--state', ...args])).stdout).toContain('confidential');
    const shared = await runCli(['sessions', 'show', 'aaaaaaaa', ...args]);
    expect([shared.code, shared.stderr]).toEqual([1, expect.stringContaining('more than one session')]);
    expect((await runCli(['sessions', 'show', 'dddddddd', ...args])).code).toBe(1);
  });

  it('end removes what was selected, and says whether the pods were told', async () => {
    const { store, args, list } = await three('end');
    const one = await runCli(['sessions', 'end', 'bbbbbb', ...args]);
    expect([one.code, one.stdout]).toEqual([0, 'session bbbbbbbb… ended\n']);
    const told = name === 'Postgres';
    expect(one.stderr).toBe(told ? '' : 'The pods were not told (files have no bus): they notice within 20 seconds.\n');
    const rest = await runCliJson(['sessions', 'end', '--principal', ALICE, '--yes', ...args]);
    expect([rest.code, rest.json]).toEqual([0, { ended: 2, of: 2, podsTold: told }]);
    expect(await list()).toEqual([]);
    expect(await store.sessionExists('aaaaaaaa-1')).toBe(false);
    expect((await runCli(['sessions', 'end', 'bbbbbbbb-1', ...args])).code).toBe(1);
  });

  it('end closes the session on a pod', async () => {
    const { store, args } = await backend.open('pods');
    const pod = await startPodForTest({ sessionStore: store });
    const client = await new RawClient().open(pod.url);
    const stream = await client.stream(pod.url);
    expect((await runCli(['sessions', 'end', client.sessionId!, ...args])).code).toBe(0);
    // Without a bus, a pod notices with the next request at the latest.
    if (name === 'Postgres') await until('the pod has heard of it', () => pod.handler.liveSessions === 0);
    expect((await client.notify(pod.url, 'notifications/ping')).status).toBe(404);
    await stream.ended;
    expect(pod.handler.liveSessions).toBe(0);
  });

  it('watch tells of sessions that are there, are opened and end', async () => {
    const { store, args } = await three('watch');
    const more = ['sessions', 'watch', '--json', '--full', '--client', 'web', '--interval', '0.1s', ...args];
    const child = spawn(process.execPath, [await cliScript(), ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
    const seen: string[] = [];
    createInterface({ input: child.stdout }).on('line', line => {
      const { event, session } = JSON.parse(line) as Shown;
      seen.push(`${event} ${session}`);
    });
    await until('it shows those that are there', () => seen.length === 2);
    expect(seen.sort()).toEqual(['there aaaaaaaa-1', 'there bbbbbbbb-1']);
    await keep(store, 'cccccccc-1', 'web');
    await until('it shows the new one', () => seen.at(-1) === 'opened cccccccc-1');
    await store.deleteSession('aaaaaaaa-1');
    await until('it shows the end', () => seen.at(-1) === 'ended aaaaaaaa-1');
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(seen).toHaveLength(4);
  });
});

it('refuses tables and directories that are not there, and creates none', async () => {
  const server = await PostgresServer.create();
  stopAfterTest(() => server.destroy());
  const { code, stderr } = await runCli(['sessions', 'list', '--url', server.url]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^mcp-sdk-anypod: Postgres at .* has no table .*\n$/)]);
  expect(await server.query(`select 1 from pg_namespace where nspname = 'anypod'`)).toEqual([]);
});
