import { once } from 'node:events';
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HOST, type NodeHandler, type WebHandler } from './endpoints.js';
import { initializeMessage, jsonHeaders, notification, run } from './script.js';
import type { PlayedTransport, Subject } from './subjects.js';

const CHUNK = notification('notifications/large', { text: 'x'.repeat(1_000_000) });

/**
 * Leaves a request's stream unread while the server sends so many megabytes on it, and tells whether sends wait for the
 * reader, and whether the stream was closed.
 */
export async function readSlowly(
  subject: Subject,
  megabytes: number
): Promise<{ waiting: boolean; closed: boolean; onerror: string[] }> {
  const transport = subject.create({ sessionIdGenerator: () => 'session-1' });
  const onerror: string[] = [];
  transport.onerror = error => onerror.push(error.message);
  transport.onmessage = message => {
    if ('method' in message && message.method === 'initialize' && 'id' in message) {
      void transport.send({ jsonrpc: '2.0', id: message.id, result: {} });
    }
  };
  await transport.start();
  const stop = await (subject.adapter === 'node' ? openOverNode(transport) : openOverWeb(transport));
  try {
    let settled = 0;
    const sends = Array.from({ length: megabytes }, () =>
      transport.send(CHUNK, { relatedRequestId: 1 }).then(() => settled++)
    );
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    const waiting = settled < sends.length;
    // A stream that was closed takes a late response for an error.
    const late = transport.send({ jsonrpc: '2.0', id: 1, result: {} }).then(
      () => false,
      () => true
    );
    const closed = onerror.length > 0 && (await late);
    return { waiting, closed, onerror };
  } finally {
    await transport.close();
    await stop();
  }
}

const headersOf = (session: boolean) => [...jsonHeaders, ...(session ? [['mcp-session-id', 'session-1']] : [])].flat();

async function openOverNode(transport: PlayedTransport): Promise<() => Promise<void>> {
  const { handleRequest } = transport as unknown as { handleRequest: NodeHandler };
  const server = createServer((req, res) => void handleRequest.call(transport, req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const [session, message] of [
    [false, initializeMessage()],
    [true, run(1)]
  ] as const) {
    const options = { host: '127.0.0.1', port, method: 'POST', path: '/mcp', agent: false };
    const outgoing = httpRequest({ ...options, headers: ['host', HOST, ...headersOf(session)] });
    outgoing.end(JSON.stringify(message));
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    response.on('error', () => {});
    if (!session) await once(response.resume(), 'end');
    else response.pause();
  }
  return async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
}

async function openOverWeb(transport: PlayedTransport): Promise<() => Promise<void>> {
  const { handleRequest } = transport as unknown as { handleRequest: WebHandler };
  const send = (session: boolean, message: unknown): Promise<Response> => {
    const headers = new Headers(jsonHeaders);
    if (session) headers.set('mcp-session-id', 'session-1');
    const request = new Request(`http://${HOST}/mcp`, { method: 'POST', headers, body: JSON.stringify(message) });
    return handleRequest.call(transport, request);
  };
  await (await send(false, initializeMessage())).text();
  const unread = await send(true, run(1));
  // Where the stream was cut there is nothing to cancel.
  return async () => unread.body?.cancel().catch(() => {});
}
