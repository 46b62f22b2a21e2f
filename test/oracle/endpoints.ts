import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import { Conversation, type Signal } from './conversation.js';
import type { HttpRequest } from './script.js';

/** The name that clients know every endpoint by: no port in a transcript depends on the run. */
export const HOST = 'mcp.test:8080';

export type NodeHandler = (
  req: IncomingMessage & { auth?: AuthInfo },
  res: ServerResponse,
  body?: unknown
) => Promise<void>;
export type WebHandler = (
  request: Request,
  options?: { parsedBody?: unknown; authInfo?: AuthInfo }
) => Promise<Response>;

interface Arrival {
  handler: NodeHandler;
  request: HttpRequest;
  conversation: Conversation;
  signal: Signal;
  presetHeaders: Record<string, string>;
}

/** The exchange that is on its way to the server: one at a time leaves the client. */
let next: Arrival | undefined;
let listening: Promise<number> | undefined;
const server = createServer((req, res) => {
  const arrival = next!;
  next = undefined;
  arrival.signal.notify();
  void receive(arrival, req, res);
});

async function receive(arrival: Arrival, req: IncomingMessage & { auth?: AuthInfo }, res: ServerResponse) {
  const { handler, request, conversation, signal, presetHeaders } = arrival;
  res.on('close', () => {
    conversation.serverClosed = true;
    signal.notify();
  });
  for (const [name, value] of Object.entries(presetHeaders)) res.setHeader(name, value);
  if (request.authInfo) req.auth = request.authInfo;
  try {
    const { parsedBody, rawBody } = request;
    // A body parser, or a serverless host, has read the request to its end.
    if (parsedBody !== undefined || rawBody !== undefined) await req.forEach(() => {});
    if (rawBody !== undefined) Object.assign(req, { rawBody: Buffer.from(rawBody) });
    await (parsedBody === undefined ? handler(req, res) : handler(req, res, parsedBody));
    conversation.handled = 'resolved';
  } catch (error) {
    conversation.handled = `rejected: ${String(error)}`;
    res.destroy();
  }
  signal.notify();
}

export function closeNodeEndpoint(): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Sends the request over HTTP to the server of this process, which hands it to the handler. */
export async function exchangeOverNode(
  handler: NodeHandler,
  request: HttpRequest,
  signal: Signal,
  presetHeaders: Record<string, string>
): Promise<Conversation> {
  listening ??= new Promise(resolve =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  );
  const port = await listening;
  const conversation = new Conversation();
  const arrival: Arrival = { handler, request, conversation, signal, presetHeaders };
  next = arrival;

  const outgoing = httpRequest({
    host: '127.0.0.1',
    port,
    agent: false,
    method: request.method,
    path: request.path ?? '/mcp',
    headers: headersOnTheWire(request).flat()
  });
  const cut = (): void => {
    if (conversation.ended === 'no') conversation.ended = 'cut';
    signal.notify();
  };
  outgoing.on('error', cut);
  outgoing.on('response', response => {
    conversation.status = response.statusCode;
    for (let i = 0; i < response.rawHeaders.length; i += 2) {
      conversation.headers.push([response.rawHeaders[i]!, response.rawHeaders[i + 1]!]);
    }
    signal.notify();
    response.on('data', (chunk: Buffer) => {
      conversation.push(chunk);
      signal.notify();
    });
    response.on('end', () => {
      conversation.ended = 'end';
      signal.notify();
    });
    response.on('error', cut);
    response.on('close', cut);
  });
  conversation.oncut = () => outgoing.destroy();
  // As bytes: Node's client would send the headers in the encoding of a first chunk that is text.
  for (const chunk of chunksOf(request.body)) outgoing.write(Buffer.from(chunk));
  if (!request.unfinished) outgoing.end();
  // The HTTP parser itself may have refused it.
  await signal.until(() => next !== arrival || conversation.ended !== 'no', 3000);
  next = undefined;
  return conversation;
}

/** A header list as it is, with the two that HTTP/1.1 needs where the script does not set them itself. */
function headersOnTheWire({ method, headers, body, unfinished }: HttpRequest): [string, string][] {
  const names = new Set(headers.map(([name]) => name.toLowerCase()));
  const wire = [...headers];
  if (!names.has('host')) wire.unshift(['host', HOST]);
  const declared = names.has('content-length') || names.has('transfer-encoding');
  if (!declared && body !== undefined && !Array.isArray(body) && !unfinished) {
    wire.push(['content-length', String(Buffer.byteLength(body))]);
  } else if (!declared && body === undefined && method === 'POST') {
    wire.push(['content-length', '0']);
  }
  return wire.filter(([, value]) => value !== '<none>');
}

function chunksOf(body: HttpRequest['body']): (string | Uint8Array)[] {
  if (body === undefined || body.length === 0) return [];
  return Array.isArray(body) ? body : [body];
}

/** Hands the request to the handler as a web-standard one, and reads the response. */
export async function exchangeOverWeb(
  handler: WebHandler,
  request: HttpRequest,
  signal: Signal
): Promise<Conversation> {
  const conversation = new Conversation();
  const headers = new Headers();
  for (const [name, value] of request.headers) if (value !== '<none>') headers.append(name, value);
  if (!headers.has('host')) headers.set('host', HOST);
  const upload = new Upload(request);
  const init = { method: request.method, headers, body: upload.body, duplex: 'half' } as RequestInit;
  const webRequest = new Request(`http://${HOST}${request.path ?? '/mcp'}`, init);
  conversation.oncut = () => {
    conversation.serverClosed = true;
    upload.cut();
  };
  const { parsedBody, authInfo } = request;
  void handler(webRequest, { parsedBody, authInfo })
    .then(response => {
      conversation.handled = 'resolved';
      if (conversation.ended === 'aborted') return;
      conversation.status = response.status;
      conversation.headers = [...response.headers];
      signal.notify();
      return read(response, conversation, signal);
    })
    .catch((error: unknown) => {
      conversation.handled ??= `rejected: ${String(error)}`;
      if (conversation.ended === 'no') conversation.ended = 'cut';
    })
    .finally(() => signal.notify());
  return conversation;
}

async function read(response: Response, conversation: Conversation, signal: Signal): Promise<void> {
  const reader = response.body?.getReader();
  conversation.oncut = () => {
    conversation.serverClosed = true;
    void reader?.cancel();
    signal.notify();
  };
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true as const, value: undefined };
    if (done) break;
    conversation.push(value);
    signal.notify();
  }
  if (conversation.ended === 'no') conversation.ended = 'end';
}

/** The body of a web-standard request, in chunks where the script has chunks. */
class Upload {
  readonly body: BodyInit | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor({ method, body, unfinished }: HttpRequest) {
    if (method === 'GET' || method === 'HEAD') return;
    if (!Array.isArray(body) && !unfinished) {
      this.body = body as BodyInit | undefined;
      return;
    }
    const chunks = chunksOf(body).map(chunk => Buffer.from(chunk));
    this.body = new ReadableStream({
      start: controller => {
        this.#controller = controller;
      },
      pull: controller => {
        const chunk = chunks.shift();
        if (chunk) controller.enqueue(chunk);
        else if (!unfinished) controller.close();
      }
    });
  }

  cut(): void {
    this.#controller?.error(new Error('The client left'));
  }
}
