import { EventStream } from '../support/clients/eventStream.js';
import { RawClient } from '../support/clients/rawClient.js';
import { type Pod, startPod, startPods } from '../support/pods/process.js';
import { useRedisAndPostgres } from '../support/servers/useRedisAndPostgres.js';
import { until } from '../support/until.js';

/* examples/migrate/tmcp.ts: the published tmcp and its transports, two processes, and the session managers of this package. */

const EXAMPLE = 'examples/migrate/tmcp.ts';
const URI = 'shop://stock';
const handshake = { protocolVersion: '2025-06-18', capabilities: { roots: { listChanged: true } } };

const servers = useRedisAndPostgres();

describe.each<[string, () => Record<string, string>]>([
  ['Redis', () => ({ REDIS_URL: servers.redis.url, DATABASE_URL: '' })],
  ['Postgres', () => ({ REDIS_URL: '', DATABASE_URL: servers.postgres.url })]
])('tmcp on two pods that share a %s', (_name, env) => {
  let pods: Pod[];
  let first: string;
  let second: string;
  beforeAll(async () => {
    pods = await startPods(2, EXAMPLE, [], { env: { PORT: '0', ...env() } });
    [first, second] = pods.map(({ origin }) => `${origin}/mcp`) as [string, string];
  });
  afterAll(() => Promise.all(pods.map(pod => pod.stop())));

  const open = (name = 'ada') => new RawClient().open(first, { ...handshake, clientInfo: { name, version: '1' } });
  const who = async (client: RawClient, url: string) => JSON.parse(String(await client.callTool(url, 'who'))) as object;

  test('each pod knows the client and its log level', async () => {
    const client = await open();
    // tmcp answers before its session manager has stored what the client said.
    await until('the client is known', async () => 'client' in (await who(client, second)));
    expect(await who(client, second)).toEqual({ client: 'ada', roots: { listChanged: true } });
    await client.request(second, 'logging/setLevel', { level: 'error' });
    await until('the level is known', async () => 'logLevel' in (await who(client, first)));
    expect(await who(client, first)).toMatchObject({ client: 'ada', logLevel: 'error' });
    const methods = async () => {
      const { messages } = await client.request(first, 'tools/call', { name: 'log', arguments: {} });
      return messages.map(({ method }) => method);
    };
    expect(await methods()).toEqual([undefined]);
    await client.request(first, 'logging/setLevel', { level: 'debug' });
    await until('the message is logged', async () => (await methods()).includes('notifications/message'));
  });

  test('notifications reach subscribed sessions on the pod that holds their stream, and the pod keeps running', async () => {
    const [subscribed, other] = [await open(), await open('bob')];
    const streams = [await subscribed.stream(first), await other.stream(first)] as const;
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    await subscribed.request(second, 'resources/subscribe', { uri: URI });
    await until('the subscription is known', async () => {
      await other.callTool(second, 'sell');
      return streams[0].messages.length > 0;
    });
    expect(streams[0].messages[0]).toMatchObject({ method: 'notifications/resources/updated', params: { uri: URI } });
    await other.callTool(second, 'extend');
    const has = (index: 0 | 1) =>
      streams[index].messages.some(({ method }) => method === 'notifications/tools/list_changed');
    await until('both know of the tool', () => has(0) && has(1));
    expect(streams[1].messages.map(({ method }) => method)).not.toContain('notifications/resources/updated');
    expect(await who(other, first)).toMatchObject({ client: 'bob' });
    streams.forEach(stream => stream.close());
  });

  test('a session has one stream on all pods, and can open another as soon as it has closed it', async () => {
    const client = await open();
    const stream = await connectedStream(client, first);
    expect((await client.stream(second)).status).toBe(409);
    stream.close();
    await until('the other pod takes it', async () => {
      const next = await client.stream(second);
      next.close();
      return next.status === 200;
    });
  });

  test('a session that is deleted on one pod is gone on the other, and its stream ends', async () => {
    const client = await open();
    const stream = await connectedStream(client, first);
    expect((await client.delete(second)).status).toBe(200);
    await until('the stream has ended', () => stream.hasEnded);
    expect(await who(client, first)).toEqual({});
    expect(await who(client, second)).toEqual({});
  });

  test('over SSE, an answer reaches the stream on the other pod', async () => {
    const stream = await EventSourceLike.open(`${pods[0]!.origin}/sse`);
    await stream.until('endpoint');
    const endpoint = pods[1]!.origin + stream.data('endpoint')!;
    const clientInfo = { name: 'sse', version: '1' };
    const params = { ...handshake, clientInfo };
    const post = async (message: object) => {
      const body = JSON.stringify({ jsonrpc: '2.0', ...message });
      return (await fetch(endpoint, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).status;
    };
    expect(await post({ id: 1, method: 'initialize', params })).toBe(202);
    await stream.until('"id":1');
    await post({ id: 2, method: 'tools/call', params: { name: 'who', arguments: {} } });
    await stream.until('"id":2');
    expect(stream.text).toContain('\\"client\\":\\"sse\\"');
    stream.close();
  });

  test('notifications of a subscription by request cross pods', async () => {
    const version = '2026-07-28';
    const meta = {
      'io.modelcontextprotocol/protocolVersion': version,
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'listener', version: '1' }
    };
    const stream = await EventStream.open(first, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': version,
        'mcp-method': 'subscriptions/listen'
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'subscriptions/listen',
        params: { notifications: { toolsListChanged: true }, _meta: meta }
      })
    });
    await stream.until(() => stream.messages.length > 0);
    expect(stream.messages[0]).toMatchObject({ method: 'notifications/subscriptions/acknowledged' });
    await (await open()).callTool(second, 'extend');
    await stream.until(() => stream.messages.some(({ method }) => method === 'notifications/tools/list_changed'));
    stream.drop();
  });
});

test('a client whose pod was killed opens its stream on another pod, and the pods exit by themselves', async () => {
  const env = { PORT: '0', REDIS_URL: servers.redis.url, DATABASE_URL: '' };
  const [killed, left] = [await startPod(EXAMPLE, [], { env }), await startPod(EXAMPLE, [], { env })];
  const client = await new RawClient().open(`${killed.origin}/mcp`, handshake);
  await connectedStream(client, `${killed.origin}/mcp`);
  await until('the client is known', async () => (await client.callTool(`${left.origin}/mcp`, 'who')) !== '{}');
  await killed.stop('SIGKILL');
  await until(
    'the other pod takes the stream',
    async () => (await client.stream(`${left.origin}/mcp`)).status === 200,
    30_000
  );
  expect(await client.callTool(`${left.origin}/mcp`, 'who')).toContain('raw');
  expect(await left.stop('SIGTERM')).toBe(0);
});

/** A stream that tmcp has registered: it answers before that, and then sends a comment. */
async function connectedStream({ sessionId }: RawClient, url: string): Promise<EventSourceLike> {
  const stream = await EventSourceLike.open(url, { 'mcp-session-id': sessionId! });
  await stream.until(': connected');
  return stream;
}

/** A stream as text. */
class EventSourceLike {
  text = '';
  hasEnded = false;
  readonly #abort = new AbortController();

  static async open(url: string, headers: Record<string, string> = {}): Promise<EventSourceLike> {
    const stream = new EventSourceLike();
    const response = await fetch(url, { headers, signal: stream.#abort.signal });
    void stream.#read(response);
    return stream;
  }

  async until(text: string): Promise<void> {
    await until(`${text} arrives`, () => this.text.includes(text));
  }

  data(event: string): string | undefined {
    return new RegExp(`event: ${event}\ndata: (.*)\n`).exec(this.text)?.[1];
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(response: Response): Promise<void> {
    try {
      for await (const chunk of response.body ?? []) this.text += Buffer.from(chunk as Uint8Array).toString();
    } catch {
      // Closed by this side.
    }
    this.hasEnded = true;
  }
}
