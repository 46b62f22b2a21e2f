import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import express from 'express';
import { createMcpHandler, McpServer, type McpHandler } from 'mcp-sdk-anypod/server';
import { listen } from '../../support/servers/listen.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

type Middleware = (req: IncomingMessage, res: ServerResponse) => void;

const clientInfo = { name: 'raw', version: '1' };
const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
const initialize = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });

let reported: string[];
let uncaught: unknown[];
const note = (error: unknown): void => void uncaught.push(error);

beforeEach(() => {
  [reported, uncaught] = [[], []];
  process.on('uncaughtException', note).on('unhandledRejection', note);
});

afterEach(() => {
  process.off('uncaughtException', note).off('unhandledRejection', note);
  expect(uncaught).toEqual([]);
});

function newHandler(): McpHandler {
  const handler = createMcpHandler(
    () => {
      const server = new McpServer({ name: 'probe', version: '1' }, { capabilities: { logging: {} } });
      server.registerTool('greet', {}, () => ({ content: [{ type: 'text', text: 'hello' }] }));
      server.registerTool('talk', {}, async ({ sendNotification }) => {
        for (let message = 0; message < 200; message++) {
          const data = 'x'.repeat(20_000);
          await sendNotification({ method: 'notifications/message', params: { level: 'info', data } });
        }
        return { content: [{ type: 'text', text: 'done' }] };
      });
      return server;
    },
    { onerror: error => reported.push(error.message) }
  );
  stopAfterTest(() => handler.close({ drainMs: 5000 }));
  return handler;
}

async function serve(middleware: Middleware, handler = newHandler()): Promise<string> {
  const server = await listen((req, res) => {
    middleware(req, res);
    void handler.node(req, res);
  });
  stopAfterTest(() => server.stop());
  return `${server.origin}/mcp`;
}

describe('a response that other code of the host changes', () => {
  test('is answered if a wrapper of writeHead, write and end returns nothing', async () => {
    const url = await serve((_req, res) => {
      for (const name of ['writeHead', 'write', 'end'] as const) {
        const original = res[name].bind(res) as (...args: unknown[]) => unknown;
        res[name] = ((...args: unknown[]) => void original(...args)) as never;
      }
    });
    const client = await new RawClient().open(url);
    expect(await client.callTool(url, 'greet')).toBe('hello');
    expect(await client.callTool(url, 'talk')).toBe('done');
    expect((await client.delete(url)).status).toBe(200);
    expect(reported).toEqual([]);
  });

  test('does not end the process if a time-out middleware ends the response of a slow client', async () => {
    let slow: ServerResponse | undefined;
    const handler = newHandler();
    const url = await serve((req, res) => {
      if (req.headers['x-slow']) slow = res;
    }, handler);
    const client = await new RawClient().open(url);
    const socket = connectTcp(Number(new URL(url).port), '127.0.0.1');
    stopAfterTest(() => socket.destroy());
    await once(socket, 'connect');
    socket.pause();
    const call = JSON.stringify({
      jsonrpc: '2.0',
      id: 7,
      method: 'tools/call',
      params: { name: 'talk', arguments: {} }
    });
    socket.write(
      `POST /mcp HTTP/1.1\r\nhost: localhost\r\nx-slow: 1\r\naccept: application/json, text/event-stream\r\n` +
        `content-type: application/json\r\nmcp-session-id: ${client.sessionId}\r\nmcp-protocol-version: 2025-11-25\r\n` +
        `content-length: ${call.length}\r\n\r\n${call}`
    );
    await until('the client is behind', () => slow?.writableNeedDrain);
    slow!.end();
    socket.resume();
    await once(socket, 'data');
    // The tool went on, and its session lives.
    expect(await client.callTool(url, 'greet')).toBe('hello');
    await handler.close({ drainMs: 5000 });
  });

  test('is left unchanged and reported if a time-out middleware has answered first', async () => {
    const handler = newHandler();
    const server = await listen((req, res) => {
      if (req.headers['x-late']) res.writeHead(503).end('too late');
      void handler.node(req, res);
    });
    stopAfterTest(() => server.stop());
    const url = `${server.origin}/mcp`;
    const client = await new RawClient().open(url);
    for (const [method, body] of [
      ['DELETE', undefined],
      ['POST', JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'ping' })],
      ['POST', JSON.stringify({ jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'talk' } })]
    ] as const) {
      const open = await new RawClient().open(url);
      const answer = await fetch(url, {
        method,
        body,
        headers: {
          'x-late': '1',
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
          'mcp-session-id': open.sessionId!
        }
      });
      expect([answer.status, await answer.text()]).toEqual([503, 'too late']);
    }
    await until('all are reported', () => reported.filter(message => message.includes('other code')).length === 3);
    expect(await client.callTool(url, 'greet')).toBe('hello');
  });

  test('does not keep its session busy if writing the head throws', async () => {
    const handler = newHandler();
    const url = await serve((req, res) => {
      if (req.headers['x-broken']) {
        res.writeHead = () => {
          throw new Error('broken writeHead');
        };
      }
    }, handler);
    const client = await new RawClient().open(url);
    const headers = { accept: 'text/event-stream', 'mcp-session-id': client.sessionId!, 'x-broken': '1' };
    await expect(fetch(url, { headers })).rejects.toThrow();
    expect(reported).toEqual(['broken writeHead']);
    // The slot of the GET stream is free.
    const stream = await client.stream(url);
    expect(stream.status).toBe(200);
    stream.close();
  });
});

describe('a body that a middleware has read', () => {
  test.each([
    ['express.json()', express.json()],
    ['express.text()', express.text({ type: 'application/json' })],
    ['express.raw()', express.raw({ type: 'application/json' })]
  ])('is read from req.body after %s', async (_name, parser) => {
    const handler = newHandler();
    const app = express()
      .use(parser)
      .all('/mcp', (req, res) => void handler.node(req, res));
    const server = await listen(app);
    stopAfterTest(() => server.stop());
    const url = `${server.origin}/mcp`;
    expect(await (await new RawClient().open(url)).callTool(url, 'greet')).toBe('hello');
  });

  test('without keeping it is answered 500 with the remedy', async () => {
    const handler = newHandler();
    const server = await listen((req, res) => {
      req.resume().on('end', () => void handler.node(req, res));
    });
    stopAfterTest(() => server.stop());
    const answer = await new RawClient().initialize(`${server.origin}/mcp`);
    const remedy =
      /The body of the request was read before: pass the parsed body as the third argument of handler\.node/;
    expect(answer.status).toBe(500);
    expect(answer.text).toMatch(remedy);
    expect(reported[0]).toMatch(remedy);
  });
});

describe('over HTTP/2', () => {
  async function serveHttp2(): Promise<{ origin: string; sessions: ServerHttp2Session[] }> {
    const handler = newHandler();
    const sessions: ServerHttp2Session[] = [];
    const server = createHttp2Server((req, res) => void handler.node(req as never, res as never));
    server.on('session', session => sessions.push(session)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stopAfterTest(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sessions };
  }

  const headers = {
    ':path': '/mcp',
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json'
  };

  test('a body that is too large ends its own stream, and the GET stream of the connection stays open', async () => {
    const warnings: string[] = [];
    const noteWarning = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', noteWarning);
    const { origin } = await serveHttp2();
    const client = connectHttp2(origin);
    stopAfterTest(() => client.destroy());
    const opening = client.request({ ...headers, ':method': 'POST' });
    opening.end(initialize);
    const [opened] = (await once(opening, 'response')) as [Record<string, string>];
    opening.resume();
    const session = { 'mcp-session-id': opened['mcp-session-id']!, 'mcp-protocol-version': '2025-11-25' };
    const get = client.request({ ...headers, ...session, ':method': 'GET' });
    await once(get, 'response');

    const large = client.request({ ...headers, ...session, ':method': 'POST' });
    const closed = once(large, 'close');
    large.on('error', () => {}).write(Buffer.alloc(5 * 1024 * 1024, 32));
    const [refused] = (await once(large, 'response')) as [Record<string, number>];
    expect(refused[':status']).toBe(413);
    large.resume();
    // The rest of the body is never sent: the server gives the stream up.
    await closed;
    expect([client.closed, client.destroyed, get.closed]).toEqual([false, false, false]);
    const ping = client.request({ ...headers, ...session, ':method': 'POST' });
    ping.end(JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'ping' }));
    expect(((await once(ping, 'response')) as [Record<string, number>])[0][':status']).toBe(200);
    process.off('warning', noteWarning);
    expect(warnings.filter(warning => warning.includes('connection header'))).toEqual([]);
  });

  test('a client that resets its GET stream frees its slot and ends no other stream', async () => {
    const { origin } = await serveHttp2();
    const client = connectHttp2(origin);
    stopAfterTest(() => client.destroy());
    const opening = client.request({ ...headers, ':method': 'POST' });
    opening.end(initialize);
    const [opened] = (await once(opening, 'response')) as [Record<string, string>];
    opening.resume();
    const session = { 'mcp-session-id': opened['mcp-session-id']!, 'mcp-protocol-version': '2025-11-25' };
    const open = async (): Promise<number> => {
      const get = client.request({ ...headers, ...session, ':method': 'GET' });
      const [answer] = (await once(get, 'response')) as [Record<string, number>];
      // INTERNAL_ERROR: an error event for the server's side.
      get.on('error', () => {}).close(2);
      return answer[':status']!;
    };
    expect(await open()).toBe(200);
    await until('the slot is free', async () => (await open()) === 200);
  });
});
