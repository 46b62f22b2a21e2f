import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { createMcpHandler, type McpHandler, type McpHandlerOptions } from 'mcp-sdk-anypod/server';
import { Server } from 'mcp-sdk-upstream/server/index.js';
import { CallToolRequestSchema, type CallToolResult } from 'mcp-sdk-upstream/types.js';
import { collectGarbage } from '../../support/pods/collectGarbage.js';
import { listen } from '../../support/servers/listen.js';
import type { ToolExtra } from '../../support/pods/askingTools.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

const MEBIBYTE = 1024 * 1024;

interface ToolPod {
  readonly url: string;
  readonly handler: McpHandler;
  /** The last request that came, as Node has it. */
  readonly last: { req: IncomingMessage; res: ServerResponse } | undefined;
}

/** A pod of one tool. */
async function start(tool: (extra: ToolExtra) => Promise<string>, options: McpHandlerOptions = {}): Promise<ToolPod> {
  const handler = createMcpHandler(() => {
    const server = new Server({ name: 'answers', version: '1' }, { capabilities: { tools: {}, logging: {} } });
    server.setRequestHandler(CallToolRequestSchema, async (_, extra): Promise<CallToolResult> => {
      return { content: [{ type: 'text', text: await tool(extra) }] };
    });
    return server;
  }, options);
  let last: ToolPod['last'];
  const { origin, stop } = await listen((req, res) => {
    last = { req, res };
    void handler.node(req, res);
  });
  stopAfterTest(stop, () => handler.close({ drainMs: 0 }));
  return {
    url: origin,
    handler,
    get last() {
      return last;
    }
  };
}

/** In the turn in which a request came its stream has not been opened yet. */
const opened = () => new Promise(resolve => setTimeout(resolve, 20));

describe.each([
  ['before its stream is open', async () => {}],
  ['when its stream is open', opened]
])('messages that a tool sends at once %s reach a client that reads', (_, begin) => {
  test.each([
    ['one long message', 1, 5 * MEBIBYTE],
    ['several long ones', 6, MEBIBYTE],
    ['many short ones', 2000, 4096]
  ])('%s', async (_, count, size) => {
    const data = 'x'.repeat(size);
    const notification = { method: 'notifications/message', params: { level: 'info', data } } as const;
    let awaits = true;
    const pod = await start(async extra => {
      await begin();
      for (let i = 0; i < count; i++) {
        const sent = extra.sendNotification(notification);
        if (awaits) await sent;
      }
      return 'done';
    });
    const client = await new RawClient().open(pod.url);
    for (awaits of [true, false]) {
      const { messages } = await client.request(pod.url, 'tools/call', { name: 'x' });
      expect(messages).toHaveLength(count + 1);
      expect(messages.at(-1)?.result).toEqual({ content: [{ type: 'text', text: 'done' }] });
    }
  });
});

/** A response with no connection behind it, that always has room: as where frameworks inject requests, for tests. */
class InjectedResponse extends ServerResponse {
  text = '';

  override write(chunk: string | Buffer): boolean {
    this.text += String(chunk);
    return true;
  }

  override end(chunk?: unknown): this {
    if (typeof chunk === 'string' || Buffer.isBuffer(chunk)) this.text += String(chunk);
    this.emit('finish');
    return this;
  }
}

test('a response without a connection accepts as much', async () => {
  const pod = await start(async extra => {
    const params = { level: 'info', data: 'x'.repeat(MEBIBYTE) } as const;
    await extra.sendNotification({ method: 'notifications/message', params });
    return 'done';
  });
  const client = await new RawClient().open(pod.url);
  const req = new IncomingMessage(new Socket());
  req.method = 'POST';
  req.url = '/';
  req.headers = {
    host: '127.0.0.1',
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-session-id': client.sessionId
  };
  req.rawHeaders = Object.entries(req.headers).flat() as string[];
  const res = new InjectedResponse(req);
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'x' } };
  void pod.handler.node(req, res, call);
  await until('it is answered', () => res.text.includes('"done"'));
});

test.each([true, false])(
  'an answer given while the pod closes is written before close resolves (enableJsonResponse: %s)',
  async enableJsonResponse => {
    let closed: Promise<void> | undefined;
    const pod: ToolPod = await start(
      async () => {
        // Due in the very phase of timers in which the pod looks whether its requests have finished.
        const due = new Promise(resolve => setTimeout(resolve, 40));
        setTimeout(() => {
          for (const end = performance.now() + 40; performance.now() < end;);
        }, 28);
        closed = pod.handler.close();
        await due;
        return 'done';
      },
      { enableJsonResponse }
    );
    const client = await new RawClient().open(pod.url);
    const answer = client.callTool(pod.url, 'x');
    await until('the pod closes', () => closed !== undefined);
    await closed;
    expect(pod.last?.res.writableEnded).toBe(true);
    expect(await answer).toBe('done');
  }
);

test('the body of a request is released after it was read, even if the request is kept', async () => {
  const chunks: WeakRef<Buffer>[] = [];
  const handler = createMcpHandler(() => new Server({ name: 'bodies', version: '1' }, { capabilities: {} }));
  let kept: IncomingMessage | undefined;
  const { origin, stop } = await listen((req, res) => {
    kept = req;
    void handler.node(req, res);
    req.on('data', (chunk: Buffer) => void chunks.push(new WeakRef(chunk)));
  });
  stopAfterTest(stop, () => handler.close({ drainMs: 0 }));
  const client = await new RawClient().open(origin);
  expect((await client.request(origin, 'ping', { text: 'x'.repeat(MEBIBYTE) })).status).toBe(200);
  expect(chunks.length).toBeGreaterThan(1);
  collectGarbage();
  expect(chunks.filter(chunk => chunk.deref() !== undefined)).toEqual([]);
  expect(kept?.complete).toBe(true);
});
