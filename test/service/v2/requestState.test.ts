import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { inputRequired, McpServer, type RequestStateCodec } from '@modelcontextprotocol/server';
import { randomBytes } from 'node:crypto';
import { RedisSessionStore } from '../../../src/backends/redis/sessionStore.js';
import {
  createMcpHandler,
  createRequestStateCodec,
  type EncryptionKey,
  InMemorySessionStore,
  type McpHandler,
  type RequestStateCodecOptions
} from '../../../src/v2/index.js';
import { listen, type Listening } from '../../support/servers/listen.js';
import { type RoundRobin, startRoundRobin } from '../../support/servers/roundRobin.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';

const newKey = (): string => randomBytes(32).toString('base64');

interface Step {
  secret: string;
  round: number;
}

const redis = useRedis({ socketTimeout: 5000 });
const problems: string[] = [];
let stop: (() => Promise<unknown>)[] = [];
let pods: Listening[];
let proxy: RoundRobin;

/** A tool that asks its client once more in each round, until the third. */
function makeServer(codec: RequestStateCodec<Step>): McpServer {
  const server = new McpServer(
    { name: 'stateful', version: '1' },
    { requestState: { verify: (state, ctx) => codec.verify(state, ctx) } }
  );
  server.server.onerror = error => void problems.push(error.message);
  server.registerTool('rounds', {}, async ctx => {
    const state = ctx.mcpReq.requestState<Step>();
    const round = (state?.round ?? 0) + 1;
    if (round > 2) return { content: [{ type: 'text', text: `${state?.secret} in round ${round}` }] };
    return inputRequired({
      inputRequests: {
        more: inputRequired.elicit({ message: 'More?', requestedSchema: { type: 'object', properties: {} } })
      },
      requestState: await codec.mint({ secret: 'the secret', round }, ctx)
    });
  });
  return server;
}

/** Two pods behind a round robin, each with its list of keys. */
async function startPods(...keys: EncryptionKey[][]): Promise<void> {
  const handlers: McpHandler[] = keys.map(each => {
    const sessionStore = new RedisSessionStore({ redis: redis.client });
    const codec = createRequestStateCodec<Step>({ keys: each, store: sessionStore });
    return createMcpHandler(() => makeServer(codec), { sessionStore, onerror: error => problems.push(error.message) });
  });
  pods = await Promise.all(
    handlers.map(handler =>
      listen((req, res) => {
        const clientId = req.headers['x-client'];
        const auth = typeof clientId === 'string' && { token: 't', clientId, scopes: [] };
        void handler.node(Object.assign(req, auth && { auth }), res);
      })
    )
  );
  proxy = await startRoundRobin(pods.map(({ port }) => port));
  stop = [() => proxy.stop(), ...pods.map(pod => () => pod.stop()), ...handlers.map(each => () => each.close())];
}

beforeEach(() => void (problems.length = 0));
afterEach(async () => {
  for (const each of stop) await each();
  stop = [];
});

async function connect(mode: 'auto' | undefined): Promise<Client> {
  const client = new Client(
    { name: 'client', version: '1' },
    { capabilities: { elicitation: { form: {} } }, ...(mode && { versionNegotiation: { mode } }) }
  );
  client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: {} }));
  await client.connect(new StreamableHTTPClientTransport(new URL(`${proxy.origin}/mcp`)));
  stopAfterTest(() => client.close().catch(() => undefined));
  return client;
}

interface Answer {
  result?: { requestState?: string; content?: { text: string }[] };
  error?: { code: number; message: string };
}

/** Calls the tool with 2026-07-28, without the client that follows the rounds by itself. */
async function call(pod: number, requestState?: string, client = 'ada'): Promise<Answer> {
  const response = await fetch(`${pods[pod]!.origin}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'rounds',
      'x-client': client
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: 'rounds',
        arguments: {},
        ...(requestState !== undefined && {
          requestState,
          inputResponses: { more: { action: 'accept', content: {} } }
        }),
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } }
        }
      }
    })
  });
  const text = await response.text();
  return JSON.parse(/^data: (.+)$/m.exec(text)?.[1] ?? text) as Answer;
}

const stateOf = (answer: Answer): string => answer.result?.requestState ?? `none: ${JSON.stringify(answer)}`;
const REFUSED = { code: -32602, message: 'Invalid or expired requestState' };

it.each([undefined, 'auto'] as const)('a client (mode %s) takes its state from pod to pod', async mode => {
  const key = newKey();
  await startPods([key], [key]);
  const client = await connect(mode);
  for (let i = 0; i < 4; i++) {
    const { content } = await client.callTool({ name: 'rounds' });
    expect(content).toEqual([{ type: 'text', text: 'the secret in round 3' }]);
  }
  expect(problems).toEqual([]);
});

it('a state is accepted by either pod, once, and cannot be read', async () => {
  const key = newKey();
  await startPods([key], [key]);
  const state = stateOf(await call(0));
  expect(Buffer.from(state.split(':').at(-1)!, 'base64url').toString('latin1')).not.toContain('secret');
  const answers = await Promise.all([0, 1, 0, 1].map(pod => call(pod, state)));
  expect(answers.filter(({ result }) => result)).toHaveLength(1);
  expect(answers.flatMap(({ error }) => (error ? { code: error.code, message: error.message } : []))).toEqual(
    Array(3).fill(REFUSED)
  );
  expect(new Set(problems)).toEqual(
    new Set(['requestState verification rejected tools/call: It has been used before'])
  );
  const keys = await redis.client.keys('*request-state*');
  expect(keys.length).toBeGreaterThan(0);
  for (const each of keys) expect(await redis.client.pttl(each)).toBeLessThanOrEqual(660_000);
});

it('a state of another principal, a changed one and an expired one are refused', async () => {
  const key = newKey();
  await startPods([key], [key]);
  const state = stateOf(await call(0));
  expect((await call(1, state, 'eve')).error).toMatchObject(REFUSED);
  expect((await call(1, `${state.slice(0, -2)}AA`)).error).toMatchObject(REFUSED);
  expect((await call(1, 'x')).error).toMatchObject(REFUSED);
  const later = Date.now() + 600_000;
  const clock = jest.spyOn(Date, 'now').mockReturnValue(later);
  expect((await call(1, state)).error).toMatchObject(REFUSED);
  clock.mockRestore();
  expect(problems.at(-1)).toBe('requestState verification rejected tools/call: It has expired');
  expect((await call(1, state)).result).toBeDefined();
});

it('keys are rotated without a pause: one pod has the new key already', async () => {
  const [old, next] = [newKey(), newKey()];
  await startPods([old, next], [next, old]);
  for (const pod of [0, 1]) expect((await call(1 - pod, stateOf(await call(pod)))).result).toBeDefined();
  await Promise.all(stop.map(each => each()));
  await startPods([next], [old]);
  expect((await call(1, stateOf(await call(0)))).error).toMatchObject(REFUSED);
});

it('a state is refused while the store does not answer', async () => {
  const silent = Object.assign(new InMemorySessionStore(), { acquireLock: () => new Promise<never>(() => {}) });
  const codec = createRequestStateCodec({ keys: [newKey()], store: silent, storeTimeoutMs: 20 });
  const ctx = { mcpReq: { method: 'tools/call' } } as never;
  await expect(codec.verify(await codec.mint(1, ctx), ctx)).rejects.toMatchObject({
    code: 'ANYPOD_STORE_UNAVAILABLE',
    message: 'acquireLock did not answer within 20 ms'
  });
});

it.each<[string, unknown, string]>([
  ['no keys', { keys: [] }, 'keys: got an empty array, expected an array of at least one key'],
  ['a short key', { keys: ['c2hvcnQ='] }, 'keys[0]: got 5 bytes, expected 32 bytes, as a Uint8Array or in base64'],
  [
    'no store',
    { store: undefined },
    'store: got undefined, expected an object with the methods acquireLock, renewLock, releaseLock'
  ],
  ['a ttl of 0', { ttlSeconds: 0 }, 'ttlSeconds: got 0, expected an integer from 1 to 2147423'],
  ['a binding that is not a function', { bind: 'user' }, "bind: got 'user', expected a function"]
])('%s is refused when the codec is made', (_what, options, message) => {
  const good: RequestStateCodecOptions = { keys: [newKey()], store: new InMemorySessionStore() };
  expect(() => createRequestStateCodec({ ...good, ...(options as object) })).toThrow(
    new Error(`Invalid option ${message}`)
  );
});
