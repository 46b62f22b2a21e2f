import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { ElicitRequestSchema, LoggingMessageNotificationSchema } from 'mcp-sdk-upstream/types.js';
import { PostgresServer } from '../support/servers/postgresServer.js';
import { type RedisServer, startRedisServer } from '../support/servers/redisServer.js';
import { until } from '../support/until.js';
import {
  commandsIn,
  installApplication,
  installRuntimes,
  runtimeNames,
  type RuntimePod,
  runToEnd,
  startRuntimePod
} from './runtimes.js';

let commands: ReturnType<typeof commandsIn>;
let cwd: string;
let redis: RedisServer;
let postgres: PostgresServer;
let quiet: Awaited<ReturnType<typeof openQuietStream>>;

beforeAll(async () => {
  const installed = Promise.all([installRuntimes(), installApplication()]);
  const servers = Promise.all([startRedisServer(), PostgresServer.create()]);
  const [folders, started] = await Promise.all([installed, servers]);
  commands = commandsIn(folders[0]);
  cwd = folders[1];
  [redis, postgres] = started;
  quiet = await openQuietStream();
}, 240_000);

afterAll(async () => {
  await quiet?.stop();
  await redis?.stop();
  await postgres?.stop();
});

describe.each(runtimeNames)('on %s', runtime => {
  /** One for each way to serve: they are the pods of one deployment. */
  let byFetch: RuntimePod;
  let byNode: RuntimePod;
  let byExpress: RuntimePod;
  const clients: Client[] = [];

  const start = (name: string, host: string) =>
    startRuntimePod(commands[runtime], ['pod.mjs', name, host], { cwd, env: { REDIS_URL: redis.url } });

  beforeAll(async () => {
    [byFetch, byNode, byExpress] = await Promise.all([
      start('fetch', 'fetch'),
      start('node', 'node'),
      start('express', 'express')
    ]);
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.close()));
  });

  afterAll(async () => {
    await Promise.all([byFetch, byNode, byExpress].map(pod => pod?.stop('SIGKILL')));
  });

  test('every entry is imported in both formats, and each kind of store carries a session to another pod', async () => {
    const files = join(tmpdir(), `anypod-runtime-files-${process.pid}`);
    const env = { REDIS_URL: redis.url, DATABASE_URL: postgres.url, FILES: files };
    const found = await runToEnd(commands[runtime], ['checks.mjs'], { cwd, env });
    await rm(files, { recursive: true, force: true });
    const stores = [
      'node-redis',
      'Postgres',
      'files',
      'services REDIS_URL',
      'services DATABASE_URL',
      'services memory'
    ];
    expect(found).toEqual({
      entries: expect.any(Number) as number,
      failures: [],
      answers: Object.fromEntries(stores.map(store => [store, 'second']))
    });
  });

  test('processes share the client sessions of a SQLite database, if the runtime has node:sqlite', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'anypod-runtime-sqlite-'));
    const env = { MCP_TS_STORAGE_TYPE: 'sqlite', MCP_TS_STORAGE_SQLITE_PATH: join(folder, 'sessions.db') };
    const write = (field: string) => runToEnd(commands[runtime], ['sqlite.mjs', field], { cwd, env });
    const both = await Promise.all([write('serverName'), write('serverId')]);
    const afterwards = await write('clientId');
    await rm(folder, { recursive: true });
    if (runtime === 'the Node of this test' && !process.getBuiltinModule('node:sqlite')) {
      const refused = {
        code: 'ANYPOD_BACKEND_UNAVAILABLE',
        message: expect.stringContaining('no node:sqlite') as string
      };
      expect([...both, afterwards]).toEqual([refused, refused, refused]);
      return;
    }
    expect(both).toMatchObject([{ serverName: '50' }, { serverId: '50' }]);
    expect(afterwards).toEqual({ serverName: '50', serverId: '50', removed: null });
  });

  test('a session goes on at every other pod, whichever way that one serves', async () => {
    for (const first of [byFetch, byNode, byExpress]) {
      const { client, go } = await connect(first);
      for (const [pod, name] of pods()) {
        go(pod);
        expect(await call(client, 'where')).toBe(name);
      }
    }
  });

  test("a tool's question is answered at another pod", async () => {
    for (const [pod, name] of pods()) {
      const other = pod === byFetch ? byNode : byFetch;
      const { client, go } = await connect(pod);
      client.setRequestHandler(ElicitRequestSchema, () => {
        go(other);
        return { action: 'accept', content: { name: 'Ada' } };
      });
      expect(await call(client, 'ask')).toBe(`accept Ada on ${name}`);
    }
  });

  test('the response to a GET begins at once, and a notification of another pod arrives on it at once', async () => {
    for (const [pod] of pods()) {
      const other = pod === byFetch ? byNode : byFetch;
      const { client, go, sessionId } = await connect(pod, { opensStream: false });
      const stream = await openStream(pod, sessionId);
      expect(stream.status).toBe(200);
      go(other);
      const sender = await call(client, 'notify');
      await until('the notification has arrived', () => stream.text().includes(`from ${sender}`), 2000);
      stream.leave();
    }
  });

  test('a GET stream whose client has left gets nothing of what the next one gets', async () => {
    const { client, sessionId } = await connect(byFetch, { opensStream: false });
    const left = await openStream(byFetch, sessionId);
    left.leave();
    const stream = await openStream(byFetch, sessionId);
    await call(client, 'notify');
    await until('the notification has arrived', () => stream.text().includes('from fetch'), 2000);
    stream.leave();
    // What Deno would print.
    expect(byFetch.output()).not.toContain('request.signal');
  });

  test('a tool whose client has gone runs to its end, and the pod does not wait for the client then', async () => {
    await Promise.all(
      pods().map(async ([pod]) => {
        const { sessionId } = await connect(pod);
        const left = new AbortController();
        const called = post(pod, sessionId, { id: 77, method: 'tools/call', params: { name: 'wait' } }, left.signal);
        await until('the tool has begun', async () => (await journal(pod)).includes('began'));
        left.abort();
        await expect(called).rejects.toThrow();
        await until('nothing is in flight', async () => (await journal(pod)).at(-1) === 'ended');
      })
    );
  });

  test('a pod that is told to end finishes its requests, and the session goes on elsewhere', async () => {
    const { client, go } = await connect(byExpress);
    const before = (await journal(byExpress)).length;
    const answer = call(client, 'wait');
    await until('the tool has begun', async () => (await journal(byExpress)).length > before);
    go(byNode);
    const ended = byExpress.stop('SIGTERM');
    expect(await answer).toBe('express');
    expect(await ended).toBe(0);
    expect(await call(client, 'where')).toBe('node');
  });

  test('a client whose pod is killed gets what it missed at another pod, and an error for its request', async () => {
    for (const [pod, name] of pods().filter(([each]) => each !== byExpress)) {
      const other = pod === byNode ? byFetch : byNode;
      const { client, go } = await connect(pod);
      const notes: unknown[] = [];
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void notes.push(params.data));
      const sender = await call(client, 'notify');
      await until('the GET stream works', () => notes.length === 1);
      const before = (await journal(pod)).length;
      const called = call(client, 'never').catch((error: Error) => error.message);
      await until('the tool has begun', async () => (await journal(pod)).length > before);
      go(other);
      await pod.stop('SIGKILL');
      expect(await called).toContain('is gone');
      const next = await call(client, 'notify');
      await until('the GET stream has been resumed', () => notes.length === 2);
      expect(notes).toEqual([`from ${sender}`, `from ${next}`]);
      if (name === 'fetch') byFetch = await start('fetch', 'fetch');
    }
  });

  const pods = () =>
    [
      [byFetch, 'fetch'],
      [byNode, 'node'],
      [byExpress, 'express']
    ] as const;

  /** The SDK's client. `go` sends its next requests to another pod. */
  async function connect(pod: RuntimePod, { opensStream = true } = {}) {
    let current = pod;
    const client = new Client({ name: 'client', version: '1.0.0' }, { capabilities: { elicitation: {} } });
    const transport = new StreamableHTTPClientTransport(new URL('http://pods.test/mcp'), {
      reconnectionOptions: {
        initialReconnectionDelay: 50,
        maxReconnectionDelay: 200,
        reconnectionDelayGrowFactor: 1,
        maxRetries: 100
      },
      fetch: (_url, init) => (opensStream ? fetch : withoutGet)(`${current.origin}/mcp`, init)
    });
    await client.connect(transport);
    clients.push(client);
    return { client, go: (next: RuntimePod) => void (current = next), sessionId: transport.sessionId! };
  }
});

describe('on Bun a GET stream without a message', () => {
  // Bun ends a quiet connection after 10 seconds, which it counts in steps of 4.
  const QUIET_MS = 15_000;

  test('stays open', async () => {
    await until('it is old enough', () => Date.now() - quiet.openedAt > QUIET_MS, 2 * QUIET_MS);
    expect(quiet.stream.ended()).toBe(false);
    await quiet.notify();
    await until('a notification has arrived on it', () => quiet.stream.text().includes('from quiet'), 2000);
    quiet.stream.leave();
  });
});

/** A pod on Bun with a stream on which nothing is sent while other tests run. */
async function openQuietStream() {
  const pod = await startRuntimePod(commands.Bun, ['pod.mjs', 'quiet', 'fetch'], {
    cwd,
    env: { REDIS_URL: redis.url }
  });
  const client = new Client({ name: 'client', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', pod.origin), { fetch: withoutGet });
  await client.connect(transport);
  const stream = await openStream(pod, transport.sessionId!);
  const stop = async () => {
    await client.close();
    await pod.stop('SIGKILL');
  };
  return { openedAt: Date.now(), stream, notify: () => call(client, 'notify'), stop };
}

/** For clients that open no GET stream of their own. */
async function withoutGet(url: string | URL, init?: RequestInit): Promise<Response> {
  return init?.method === 'GET' ? new Response(null, { status: 405 }) : fetch(url, init);
}

async function call(client: Client, name: string): Promise<string> {
  const { content } = await client.callTool({ name });
  return (content as { text: string }[])[0]!.text;
}

const versioned = (sessionId: string) => ({ 'mcp-session-id': sessionId, 'mcp-protocol-version': '2025-11-25' });

async function post(pod: RuntimePod, sessionId: string, message: object, signal: AbortSignal): Promise<string> {
  const response = await fetch(`${pod.origin}/mcp`, {
    method: 'POST',
    headers: {
      ...versioned(sessionId),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream'
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    signal
  });
  return response.text();
}

/** Opens a GET stream and reads it. Resolves when the head of the response has arrived. */
async function openStream(pod: RuntimePod, sessionId: string) {
  const left = new AbortController();
  const { status, body } = await fetch(`${pod.origin}/mcp`, {
    // A client of this version gets no cursor, so nothing is sent when the stream opens.
    headers: { ...versioned(sessionId), 'mcp-protocol-version': '2025-06-18', accept: 'text/event-stream' },
    signal: left.signal
  });
  let text = '';
  let ended = false;
  const read = async () => {
    for await (const chunk of body!) text += Buffer.from(chunk).toString();
  };
  read()
    .catch(() => {})
    .finally(() => (ended = true));
  return { status, text: () => text, ended: () => ended, leave: () => left.abort() };
}

async function journal(pod: RuntimePod): Promise<string[]> {
  return (await (await fetch(`${pod.origin}/journal`)).json()) as string[];
}
