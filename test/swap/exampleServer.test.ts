import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { type Application, install } from './application.js';
import { type Registry, startRegistry } from './registry.js';
import { freePort } from '../support/servers/freePort.js';

const SDK = '@modelcontextprotocol/sdk';
const examples = 'node_modules/mcp-sdk-upstream/dist/esm/examples';
const post = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** What is sent: headers besides those of the session, and a body. */
type Sent = [title: string, method: string, body?: unknown, headers?: Record<string, string>];

const request = (id: number, method: string, params: object = {}) => ({ jsonrpc: '2.0', id, method, params });
const call = (id: number, name: string, args: object) => request(id, 'tools/call', { name, arguments: args });
const none = { 'mcp-session-id': '' };

const exchanges: Sent[] = [
  ['initialized', 'POST', { jsonrpc: '2.0', method: 'notifications/initialized' }],
  ['a list of tools', 'POST', request(2, 'tools/list')],
  ['a call', 'POST', call(3, 'greet', { name: 'Ada' })],
  ['a call with notifications', 'POST', call(4, 'start-notification-stream', { interval: 10, count: 2 })],
  ['a call with wrong arguments', 'POST', call(5, 'greet', { name: 1 })],
  ['an unknown tool', 'POST', call(6, 'nothing', {})],
  ['a prompt', 'POST', request(7, 'prompts/get', { name: 'greeting-template', arguments: { name: 'Ada' } })],
  ['a resource', 'POST', request(8, 'resources/read', { uri: 'https://example.com/greetings/default' })],
  ['an unknown method', 'POST', request(9, 'nothing/known')],
  ['a log level', 'POST', request(10, 'logging/setLevel', { level: 'error' })],
  ['a batch', 'POST', [request(11, 'ping'), request(12, 'ping')]],
  ['a message that is none', 'POST', { jsonrpc: '1.0' }],
  ['no JSON', 'POST', '{'],
  ['a wrong Accept', 'POST', request(13, 'ping'), { accept: 'text/html' }],
  ['a wrong content type', 'POST', request(14, 'ping'), { 'content-type': 'text/plain' }],
  ['a wrong protocol version', 'POST', request(15, 'ping'), { 'mcp-protocol-version': '1999-01-01' }],
  ['an unknown session', 'POST', request(16, 'ping'), { 'mcp-session-id': 'unknown' }],
  ['no session', 'POST', request(17, 'ping'), none],
  ['a second initialize', 'POST', request(18, 'initialize', {})],
  ['a wrong method', 'PUT', request(19, 'ping')],
  ['a GET with a wrong Accept', 'GET', undefined, { accept: 'text/html' }],
  ['DELETE', 'DELETE'],
  ['a call after DELETE', 'POST', call(20, 'greet', { name: 'Ada' })]
];

describe('the SDK’s example simpleStreamableHttp, unchanged', () => {
  let registry: Registry;
  let app: Application;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    registry = await startRegistry();
    app = await install('npm', registry.url, {
      type: 'module',
      dependencies: { [SDK]: `file:${registry.tarball}`, 'stock-sdk': `npm:${SDK}@1.32.2` }
    });
  });

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await app?.remove();
    await registry?.stop();
  });

  test('answers each exchange as on the stock SDK', async () => {
    const [stock, fork] = await Promise.all(['stock-sdk', SDK].map(name => startExample(name)));
    const expected = await play(stock!);
    const found = await play(fork!);
    expect(found).toEqual(expected);
    expect(new Set(found.map(each => each.status))).toEqual(new Set([200, 202, 400, 404, 406, 415]));
  });

  /** @returns its endpoint */
  async function startExample(name: string): Promise<string> {
    const folder = name.replace(/\W/g, '_');
    for (const file of [
      'server/simpleStreamableHttp',
      'server/demoInMemoryOAuthProvider',
      'shared/inMemoryEventStore'
    ]) {
      const source = await readFile(join(examples, `${file}.js`), 'utf8');
      const moved = source
        .replaceAll("'../../", `'${name}/`)
        .replace(/'[^']*\/(demo|inMemory)(\w+)\.js'/g, `'./${folder}_$1$2.js'`);
      await writeFile(join(app.folder, `${folder}_${file.split('/')[1]}.js`), moved);
    }
    const port = await freePort();
    const child = spawn(process.execPath, [`${folder}_simpleStreamableHttp.js`], {
      cwd: app.folder,
      env: { ...process.env, MCP_PORT: String(port) },
      stdio: ['ignore', 'pipe', 'inherit']
    });
    children.push(child);
    await once(child.stdout, 'data');
    const endpoint = `http://127.0.0.1:${port}/mcp`;
    await until('the example answers', () =>
      fetch(endpoint).then(
        () => true,
        () => false
      )
    );
    return endpoint;
  }
});

interface Answered {
  readonly title: string;
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: string;
}

async function play(endpoint: string): Promise<Answered[]> {
  const clientInfo = { name: 'Ada', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const session = { 'mcp-session-id': '' };
  const opened = await exchange(endpoint, ['initialize', 'POST', request(1, 'initialize', params)], session);
  session['mcp-session-id'] = opened.sessionId;
  const answered = [opened.answer];
  for (const sent of exchanges) answered.push((await exchange(endpoint, sent, session)).answer);
  return answered;
}

async function exchange(endpoint: string, [title, method, body, headers]: Sent, session: Record<string, string>) {
  const all = new Headers({ ...post, ...session, ...headers });
  if (all.get('mcp-session-id') === '') all.delete('mcp-session-id');
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(endpoint, { method, headers: all, body: text, signal: AbortSignal.timeout(10_000) });
  const sessionId = response.headers.get('mcp-session-id') ?? '';
  const plain = (value: string): string => (sessionId === '' ? value : value.replaceAll(sessionId, '<session>'));
  const answer = {
    title,
    status: response.status,
    headers: [...response.headers].filter(([name]) => !isFraming(name, response)).map(([k, v]) => [k, plain(v)]),
    // Ids of events are an event store's own; times are the clock's.
    body: (await response.text()).replace(/^id: .+$/gm, 'id: <event>').replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
  } as Answered;
  return { sessionId, answer };
}

/** Whether a stream goes out in one piece depends on how quickly its end came. */
function isFraming(name: string, { headers }: Response): boolean {
  const isStream = headers.get('content-type') === 'text/event-stream';
  return name === 'date' || (isStream && (name === 'content-length' || name === 'transfer-encoding'));
}
