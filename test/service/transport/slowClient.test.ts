import { connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { StreamableHTTPServerTransport, WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { until } from '../../support/until.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';

const MEGABYTE = 1_000_000;

const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: {} });
const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const chunk: JSONRPCMessage = {
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { data: 'x'.repeat(MEGABYTE) }
};

/** Has the server say more on a stream than it holds for any client. */
async function saySoMuch(
  transport: StreamableHTTPServerTransport | WebStandardStreamableHTTPServerTransport
): Promise<void> {
  const errors: string[] = [];
  transport.onerror = error => errors.push(error.name);
  for (let i = 0; i < 40; i++) void transport.send(chunk, { relatedRequestId: 1 });
  await until('the client is too slow', () => errors.includes('SlowClientError'));
}

/** A client that asks and then reads nothing. */
function ask(port: number): Socket {
  const lines = Object.entries({ host: 'x', ...headers, 'content-length': body.length });
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket
    .pause()
    .write(`POST / HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`);
  stopAfterTest(() => socket.destroy());
  return socket;
}

test.each([
  ['before its stream is open', false],
  ['on an open stream', true]
])(
  'a client that reads nothing is disconnected, and what it did not read is let go: Node, %s',
  async (_when, opened) => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    let said: Promise<void> | undefined;
    transport.onmessage = () => {
      if (!opened) said = saySoMuch(transport);
    };
    let answered = false;
    let closed = false;
    const server = createServer((req, res) => {
      void transport.handleRequest(req, res).then(() => (answered = true));
      req.socket.on('close', () => (closed = true));
      if (opened) void until('it is open', () => res.headersSent).then(() => (said = saySoMuch(transport)));
    }).listen(0, '127.0.0.1');
    stopAfterTest(() => server.close());
    await once(server, 'listening');
    ask((server.address() as AddressInfo).port);
    await until('the server speaks', () => said !== undefined);
    await said;
    await until('it is disconnected', () => closed && answered);
  }
);

test('a client that reads nothing is disconnected, and what it did not read is let go: web', async () => {
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  transport.onmessage = () => {};
  const response = await transport.handleRequest(new Request('http://x/', { method: 'POST', headers, body }));
  await saySoMuch(transport);
  const read = await response.text().then(
    ({ length }) => `${length} characters`,
    (error: Error) => error.name
  );
  expect(read).toBe('SlowClientError');
});
