import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { Signal } from './conversation.js';
import type { NodeHandler } from './endpoints.js';
import { initializeMessage, run } from './script.js';
import { oracles, type PlayedTransport, type Subject, subjects } from './subjects.js';

/** What no ordinary HTTP client says, or shows: bytes on the wire, and HTTP/2. */
const nodeSubjects = subjects.filter(subject => subject.adapter === 'node');
const init = JSON.stringify(initializeMessage());
const call = JSON.stringify(run(1));

function post(version: string, body: string, headers: string[]): string {
  const fixed = ['Content-Type: application/json', 'Accept: application/json, text/event-stream'];
  const lines = [`POST /mcp HTTP/${version}`, ...fixed, `Content-Length: ${body.length}`, ...headers];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

const host = 'Host: mcp.test';
const close = 'Connection: close';
const session = 'Mcp-Session-Id: session-1';
const connections: Record<string, string> = {
  'HTTP/1.0 without a host': post('1.0', init, []),
  'HTTP/1.0 with a host': post('1.0', init, [host]),
  'HTTP/1.0 that stays': post('1.0', init, [host, 'Connection: keep-alive']) + post('1.0', call, [host, session]),
  'HTTP/1.1 without a host': post('1.1', init, [close]),
  'a request behind another': post('1.1', init, [host]) + post('1.1', '[]', [host, session, close]),
  'requests after one that is not read': `PUT / HTTP/1.1\r\n${host}\r\nContent-Length: 5\r\n\r\n12345${post('1.1', init, [host, close])}`,
  'a client that waits to be asked': post('1.1', init, [host, close, 'Expect: 100-continue']),
  'a header that goes over lines': post('1.1', init, [host, close, 'X-Folded: a\r\n b']),
  'a chunked body with a trailer': [
    'POST /mcp HTTP/1.1',
    host,
    close,
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    'Transfer-Encoding: chunked',
    `\r\n${init.length.toString(16)}\r\n${init}\r\n0\r\nX-Trailer: a\r\n\r\n`
  ].join('\r\n'),
  'HEAD, which has no body': `HEAD /mcp HTTP/1.1\r\n${host}\r\n${close}\r\n\r\n`,
  'an absolute target': `GET http://other.test/mcp HTTP/1.1\r\n${host}\r\n${close}\r\n\r\n`,
  'an asterisk': `OPTIONS * HTTP/1.1\r\n${host}\r\n${close}\r\n\r\n`
};

describe('on the wire', () => {
  for (const [name, bytes] of Object.entries(connections)) {
    it.each(nodeSubjects)(`${name} ($name)`, async subject => {
      const stock = await saySomething(oracles.node, bytes);
      expect(stock).toMatch(/^HTTP\/1.1 \d{3} /);
      expect(await saySomething(subject, bytes)).toBe(stock);
    });
  }
});

describe('over HTTP/2', () => {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  it.each(nodeSubjects)('the handshake, a call, a stream and refused requests are the same ($name)', async subject => {
    const exchanges: [IncomingHttpHeaders, string?][] = [
      [{ ...headers, ':method': 'POST', ':path': '/mcp?x=1' }, init],
      [{ ...headers, ':method': 'POST', ':path': '/mcp', 'mcp-session-id': 'session-1' }, '[]'],
      [
        { ...headers, ':method': 'POST', ':path': '/mcp', 'mcp-session-id': 'session-1' },
        JSON.stringify(run(2, 'answer'))
      ],
      [{ ':method': 'GET', ':path': '/mcp' }],
      [{ ':method': 'PUT', ':path': '/mcp' }, 'body'],
      [{ ...headers, ':method': 'POST', ':path': '/mcp', 'mcp-session-id': 'other' }, '[]'],
      [{ ':method': 'DELETE', ':path': '/mcp', 'mcp-session-id': 'session-1' }]
    ];
    const stock = await overHttp2(oracles.node, exchanges);
    expect(stock.map(each => each.status)).toEqual([200, 202, 200, 406, 405, 404, 200]);
    expect(await overHttp2(subject, exchanges)).toEqual(stock);
  });
});

/** Everything that the server says to these bytes until it closes, or until its transport is closed. */
async function saySomething(subject: Subject, bytes: string): Promise<string> {
  const { transport, listener } = served(subject);
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').setEncoding('latin1');
  let text = '';
  socket.on('data', (chunk: Buffer | string) => (text += String(chunk)));
  socket.on('error', () => {});
  socket.write(bytes);
  const ended = once(socket, 'close');
  // The last answer of a connection: a stream that stays open, the one after which it closes, or there is no more.
  await Promise.race([ended, transport.called, transport.answered(bytes.split('HTTP/1.').length - 1)]);
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  await transport.close();
  socket.end();
  await ended;
  server.close();
  server.closeAllConnections();
  return normalised(text);
}

/** Whether a stream goes out in one piece depends on how quickly its end came. */
function normalised(text: string): string {
  return text
    .replace(/^Date: .*\r\n/gim, '')
    .replace(/^(content-length: \d+|transfer-encoding: chunked)\r\n/gim, '')
    .replace(/^[0-9a-f]+\r\n/gim, '')
    .replace(/(\r\n)+$/, '\r\n');
}

async function overHttp2(subject: Subject, exchanges: [IncomingHttpHeaders, string?][]) {
  const { transport, listener } = served(subject);
  const server = createHttp2Server(listener as never).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const answers: { status: unknown; headers: IncomingHttpHeaders; body: string }[] = [];
  for (const [headers, body] of exchanges) {
    const stream = client.request({ ...headers, ':authority': 'mcp.test' });
    stream.end(body);
    const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    delete head.date;
    delete head['content-length'];
    let text = '';
    for await (const chunk of stream.setEncoding('utf8')) text += chunk;
    answers.push({ status: head[':status'], headers: head, body: text });
  }
  await transport.close();
  client.close();
  server.close();
  await once(server, 'close');
  return answers;
}

interface Watched extends PlayedTransport {
  /** The request that is not answered has reached the server. */
  readonly called: Promise<void>;
  /** So many exchanges are complete. */
  answered(count: number): Promise<void>;
}

function served(subject: Subject): { transport: Watched; listener: RequestListener } {
  const signal = new Signal();
  let exchanges = 0;
  let called = false;
  const transport = subject.create({ sessionIdGenerator: () => 'session-1' });
  transport.onmessage = message => {
    if (!('method' in message) || !('id' in message)) return;
    if (message.method !== 'test/run' || message.id !== 1) {
      return void transport.send({ jsonrpc: '2.0', id: message.id, result: { method: message.method } });
    }
    called = true;
    signal.notify();
  };
  void transport.start();
  const { handleRequest } = transport as unknown as { handleRequest: NodeHandler };
  const until = async (happened: () => boolean): Promise<void> => void (await signal.until(happened, 10_000));
  return {
    transport: Object.assign(transport, {
      called: until(() => called),
      answered: (count: number) => until(() => exchanges >= count)
    }),
    listener: (req, res) => {
      res.on('close', () => {
        exchanges++;
        signal.notify();
      });
      void handleRequest.call(transport, req, res);
    }
  };
}
