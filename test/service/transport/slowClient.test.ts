import { connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { StreamableHTTPServerTransport, WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { until } from '../../support/until.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { replaceTimers } from '../../../src/timers.js';

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
])('a client that reads nothing is disconnected, and its buffer is released: Node, %s', async (_when, opened) => {
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
});

test('a client that reads nothing is disconnected, and its buffer is released: web', async () => {
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

/** Timers that are set for longer than any test takes, to be called at will. */
function captureLongTimers(): (() => void)[] {
  const due: (() => void)[] = [];
  const { setTimeout } = globalThis;
  const capture = ((tick: () => void, ms: number) => {
    return ms < 30_000 ? setTimeout(tick, ms) : { at: due.push(tick) };
  }) as typeof setTimeout;
  stopAfterTest(replaceTimers({ setTimeout: capture }));
  return due;
}

/** An answer of eight megabytes, to whatever is asked. */
function answerAtLength(transport: StreamableHTTPServerTransport | WebStandardStreamableHTTPServerTransport): string[] {
  const errors: string[] = [];
  transport.onerror = error => errors.push(error.name);
  transport.onmessage = () => {
    void transport.send({ jsonrpc: '2.0', id: 1, result: { text: 'x'.repeat(8 * MEGABYTE) } });
  };
  return errors;
}

test.each([
  ['in one event', false],
  ['in JSON', true]
])('a client that does not read a complete answer is disconnected after a time: Node, %s', async (_how, isJson) => {
  const due = captureLongTimers();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: isJson });
  const errors = answerAtLength(transport);
  let closed = false;
  const server = createServer((req, res) => {
    void transport.handleRequest(req, res);
    req.socket.on('close', () => (closed = true));
  }).listen(0, '127.0.0.1');
  stopAfterTest(() => server.close());
  await once(server, 'listening');
  ask((server.address() as AddressInfo).port);
  await until('it is watched', () => due.length > 0);
  expect([due.length, closed, errors]).toEqual([1, false, []]);
  due[0]!();
  await until('it is disconnected', () => closed);
  expect(errors).toEqual(['SlowClientError']);
});

test.each([
  ['does not read', false],
  ['has read', true]
])('a client that %s a complete answer, after a time: web', async (_what, hasRead) => {
  const due = captureLongTimers();
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  const errors = answerAtLength(transport);
  const response = await transport.handleRequest(new Request('http://x/', { method: 'POST', headers, body }));
  expect(due).toHaveLength(1);
  if (hasRead) expect((await response.text()).length).toBeGreaterThan(8 * MEGABYTE);
  due[0]!();
  expect(errors).toEqual(hasRead ? [] : ['SlowClientError']);
  if (!hasRead) await expect(response.text()).rejects.toThrow('did not read its answer');
});
