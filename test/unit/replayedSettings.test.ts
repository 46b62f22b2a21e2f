import { createMcpHandler, InMemorySessionStore } from 'mcp-sdk-anypod';
import { Server } from 'mcp-sdk-anypod/server';
import { InitializeRequestSchema, PingRequestSchema, SetLevelRequestSchema } from 'mcp-sdk-upstream/types.js';
import { until } from '../support/until.js';

const clientInfo = { name: 'unit', version: '1' };
const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };

function post(body: object, sessionId?: string): Request {
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' });
  if (sessionId !== undefined) headers.set('mcp-session-id', sessionId);
  return new Request('http://localhost/mcp', {
    method: 'POST',
    headers,
    body: JSON.stringify({ jsonrpc: '2.0', ...body })
  });
}

interface SlowPod {
  levels: string[];
  pings: string[];
  errors: Error[];
  /** How many log levels the server was told. */
  setting: number;
  /** How many handshakes wait for `goOn`. */
  opening: number;
  goOn(): void;
}

/**
 * A pod whose server answers `logging/setLevel` when the test lets it.
 * @param neverOpens - whether the server does not answer `initialize`
 */
function slowPod(sessionStore: InMemorySessionStore, neverOpens = false) {
  const pod: SlowPod = { levels: [], pings: [], errors: [], setting: 0, opening: 0, goOn: () => {} };
  const handler = createMcpHandler(
    () => {
      const server = new Server({ name: 'unit', version: '1' }, { capabilities: { logging: {} } });
      server.setRequestHandler(SetLevelRequestSchema, async ({ params: { level } }) => {
        pod.setting++;
        await new Promise<void>(resolve => (pod.goOn = resolve));
        pod.levels.push(level);
        return {};
      });
      if (neverOpens) {
        server.setRequestHandler(InitializeRequestSchema, () => {
          pod.opening++;
          return new Promise<never>(() => {});
        });
      }
      server.setRequestHandler(PingRequestSchema, async () => {
        pod.pings.push(pod.levels.at(-1) ?? 'none');
        return {};
      });
      return server;
    },
    { sessionStore, onerror: error => void pod.errors.push(error) }
  );
  return Object.assign(pod, { handler });
}

type Pod = ReturnType<typeof slowPod>;

async function open({ handler }: Pod): Promise<string> {
  const opened = await handler.fetch(post({ id: 0, method: 'initialize', params }));
  const sessionId = opened.headers.get('mcp-session-id')!;
  await handler.fetch(post({ method: 'notifications/initialized' }, sessionId));
  return sessionId;
}

async function setLevel(pod: Pod, sessionId: string): Promise<void> {
  const changed = await pod.handler.fetch(
    post({ id: 2, method: 'logging/setLevel', params: { level: 'error' } }, sessionId)
  );
  pod.goOn();
  await changed.text();
}

async function endOn({ handler }: Pod, sessionId: string): Promise<void> {
  const request = new Request('http://localhost/mcp', { method: 'DELETE', headers: { 'mcp-session-id': sessionId } });
  expect((await handler.fetch(request)).status).toBe(200);
}

/** A session that two pods have live, and whose client has just set the log level on the first. */
async function withLevelSet() {
  const sessionStore = new InMemorySessionStore();
  const [first, second] = [slowPod(sessionStore), slowPod(sessionStore)];
  const sessionId = await open(first);
  await (await second.handler.fetch(post({ id: 1, method: 'ping' }, sessionId))).text();
  await setLevel(first, sessionId);
  await until('the second server is told the level', () => second.setting === 1);
  return { first, second, sessionId };
}

test('a request waits until the server of its pod has accepted a log level that was set on another pod', async () => {
  const { first, second, sessionId } = await withLevelSet();
  const pinged = second.handler.fetch(post({ id: 3, method: 'ping' }, sessionId)).then(response => response.text());
  // An exchange of the first pod is answered meanwhile: the second one does wait.
  await (await first.handler.fetch(post({ id: 4, method: 'ping' }, sessionId))).text();
  expect(second.pings).toEqual(['none']);
  second.goOn();
  await pinged;
  expect(second.pings).toEqual(['none', 'error']);
  await Promise.all([first.handler.close(), second.handler.close()]);
});

test('a server that is closed while it accepts a log level of another pod is not waited for', async () => {
  const { first, second, sessionId } = await withLevelSet();
  const pinged = second.handler.fetch(post({ id: 3, method: 'ping' }, sessionId));
  await endOn(first, sessionId);
  expect((await pinged).status).toBe(404);
  expect(second.errors.map(({ message }) => message)).not.toContainEqual(expect.stringContaining('did not answer'));
  await Promise.all([first.handler.close(), second.handler.close()]);
});

test('a server that is closed while it is recovered is told nothing more, and is not waited for', async () => {
  const sessionStore = new InMemorySessionStore();
  const [first, second] = [slowPod(sessionStore), slowPod(sessionStore, true)];
  const sessionId = await open(first);
  await setLevel(first, sessionId);
  const pinged = second.handler.fetch(post({ id: 3, method: 'ping' }, sessionId));
  await until('the second server is recovered', () => second.opening === 1);
  await endOn(first, sessionId);
  expect((await pinged).status).toBe(404);
  expect([second.setting, second.pings, second.errors.map(({ name }) => name)]).toEqual([0, [], []]);
  await Promise.all([first.handler.close(), second.handler.close()]);
});
