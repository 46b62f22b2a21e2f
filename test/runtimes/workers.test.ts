import { build } from 'esbuild';
import { join, parse } from 'node:path';
import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { ElicitRequestSchema, LoggingMessageNotificationSchema } from 'mcp-sdk-upstream/types.js';
import { until } from '../support/until.js';
import { installApplication, installRuntimes, type RuntimePod, startRuntimePod } from './runtimes.js';

/** The two isolates of the Worker in examples/workers, in workerd. */
let miniflare: RuntimePod;
let first: string;
let second: string;
let client: Client;
let sessionId: string;
/** Where the client's next requests go. */
let isolate: string;
const notes: unknown[] = [];

/** Starts two isolates of a Worker. */
async function startIsolates(worker: string): Promise<{ pod: RuntimePod; isolates: [string, string] }> {
  const [runtimes, cwd] = await Promise.all([installRuntimes(), installApplication()]);
  const script = join(cwd, `${parse(worker).name}.bundle.mjs`);
  await build({
    entryPoints: [worker],
    outfile: script,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    // As wrangler does.
    conditions: ['workerd', 'worker', 'browser'],
    // The packed package, not this repository.
    alias: { 'mcp-sdk-anypod/server': join(cwd, 'node_modules/mcp-sdk-anypod/dist/esm/sdk/server/index.js') },
    tsconfigRaw: {},
    logLevel: 'silent'
  });
  const pod = await startRuntimePod([process.execPath], ['miniflare.mjs', runtimes, script], { cwd, env: {} });
  return { pod, isolates: [pod.origin, `http://127.0.0.1:${/^second (\d+)$/m.exec(pod.output())![1]}`] };
}

beforeAll(async () => {
  const { pod, isolates } = await startIsolates('examples/workers/worker.ts');
  miniflare = pod;
  [first, second] = isolates;

  isolate = first;
  client = new Client({ name: 'client', version: '1.0.0' }, { capabilities: { elicitation: {} } });
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void notes.push(params.data));
  const transport = new StreamableHTTPClientTransport(new URL('http://isolates.test/mcp'), {
    fetch: (_url, init) => fetch(`${isolate}/mcp`, init)
  });
  await client.connect(transport);
  sessionId = transport.sessionId!;
}, 240_000);

afterAll(async () => {
  await client?.close();
  await miniflare?.stop();
});

beforeEach(() => void (isolate = first));

async function call(name: string): Promise<string> {
  const { content } = await client.callTool({ name });
  return (content as { text: string }[])[0]!.text;
}

test('a session that one isolate has opened goes on at another', async () => {
  const answers: string[] = [];
  for (isolate of [first, second, first]) answers.push(await call('where'));
  expect(answers).toEqual(['first', 'second', 'first']);
});

test('the answer to a question is validated, though a Worker may not generate code', async () => {
  for (isolate of [first, second]) {
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ada' } }));
    expect(await call('ask')).toBe(`accept Ada on ${isolate === first ? 'first' : 'second'}`);
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 7 } }));
    expect(await call('ask')).toContain('does not match');
  }
});

test('a notification of one request arrives at once on the GET stream of another', async () => {
  await call('notify');
  await until('the notification has arrived', () => notes.includes('from first'), 2000);
});

test('a tool whose client has hung up runs to its end with waitUntil, and is stopped without it', async () => {
  const { pod, isolates } = await startIsolates('test/runtimes/waitUntilWorker.ts');
  try {
    const [withIt, withoutIt] = isolates;
    const journal = async (origin: string) => (await fetch(`${origin}/journal`)).text();
    // The one without first: it would end first.
    for (const origin of [withoutIt, withIt]) {
      const post = (body: object, headers: Record<string, string> = {}, signal?: AbortSignal) =>
        fetch(`${origin}/mcp`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
          body: JSON.stringify({ jsonrpc: '2.0', ...body }),
          signal: signal ?? null
        });
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'client', version: '1' } };
      const opened = await post({ id: 1, method: 'initialize', params });
      const session = {
        'mcp-session-id': opened.headers.get('mcp-session-id')!,
        'mcp-protocol-version': '2025-11-25'
      };
      await opened.text();
      const left = new AbortController();
      const call = { id: 2, method: 'tools/call', params: { name: 'wait' } };
      const called = post(call, { ...session, 'x-slow-call': 'yes' }, left.signal).then(response => response.text());
      await until('the tool has begun', async () => (await journal(origin)) === 'began');
      left.abort();
      await expect(called).rejects.toThrow();
    }
    await until('the tool has ended', async () => (await journal(withIt)) === 'began,ended,settled');
    expect(await journal(withoutIt)).toBe('began');
  } finally {
    await pod.stop();
  }
});

test('a session that was deleted at one isolate is gone at all', async () => {
  const headers = { 'mcp-session-id': sessionId, 'mcp-protocol-version': '2025-11-25' };
  expect((await fetch(`${second}/mcp`, { method: 'DELETE', headers })).status).toBe(200);
  for (isolate of [first, second]) await expect(call('where')).rejects.toThrow('Session not found');
});
