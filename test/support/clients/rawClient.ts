import type { InitializeRequest, JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventStream } from './eventStream.js';

/** A server that has not answered by then never will. */
const answerTimeoutMs = 20_000;

/** One HTTP response, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON-RPC messages in it, whether it was a stream or one JSON body. */
  readonly messages: Message[];
  /** How long it took, from the request to the end of the body. */
  readonly ms: number;
}

/** A JSON-RPC message with all its parts within reach. */
export interface Message {
  id?: string | number | null;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { code: number; message: string };
}

/** An open GET stream. */
export interface OpenStream {
  readonly status: number;
  /** What has arrived so far. */
  readonly messages: readonly Message[];
  /** Resolves when the server has ended the stream, or `close` was called. */
  readonly ended: Promise<void>;
  close(): void;
}

/** A request under way. */
export interface FollowedRequest {
  readonly id: number;
  readonly stream: EventStream;
}

/**
 * An MCP client that decides by itself which pod it asks: every call names the URL it goes to. It checks nothing
 * and repeats nothing.
 */
export class RawClient {
  sessionId: string | undefined;
  protocolVersion: string | undefined;
  /** Sent with every request. */
  readonly headers: Record<string, string>;
  #lastId = 0;

  constructor(headers: Record<string, string> = {}) {
    this.headers = headers;
  }

  /** The whole handshake. @throws where the server refuses a part of it */
  async open(url: string, params?: Partial<InitializeRequest['params']>, headers = this.headers): Promise<this> {
    const answer = await this.initialize(url, params, headers);
    if (answer.status !== 200) throw new Error(`initialize was answered ${answer.status} ${answer.text}`);
    const initialized = await this.notify(url, 'notifications/initialized');
    if (initialized.status !== 202) throw new Error(`initialized was answered ${initialized.status}`);
    return this;
  }

  /** The first half of the handshake; takes over the session that it is given, if any. */
  async initialize(
    url: string,
    params: Partial<InitializeRequest['params']> = {},
    headers: Record<string, string> = {}
  ): Promise<Answer> {
    const clientInfo = { name: 'raw', version: '1' };
    const all = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo, ...params };
    const answer = await post(url, message('initialize', all, this.#nextId()), { ...this.headers, ...headers });
    if (answer.status !== 200) return answer;
    this.sessionId = answer.headers.get('mcp-session-id') ?? undefined;
    this.protocolVersion = answer.messages[0]?.result?.protocolVersion as string | undefined;
    return answer;
  }

  request(url: string, method: string, params: Record<string, unknown> = {}): Promise<Answer> {
    return post(url, message(method, params, this.#nextId()), this.#sessionHeaders());
  }

  /** The text that a tool of the probe servers answers, or the status where it did not answer. */
  async callTool(url: string, name: string, args: Record<string, unknown> = {}): Promise<string | number> {
    const answer = await this.request(url, 'tools/call', { name, arguments: args });
    const result = answer.messages.find(each => each.id !== undefined && each.method === undefined)?.result;
    const content = result?.content as { text: string }[] | undefined;
    return content?.[0]?.text ?? answer.status;
  }

  notify(url: string, method: string, params: Record<string, unknown> = {}): Promise<Answer> {
    return post(url, message(method, params), this.#sessionHeaders());
  }

  /** Any message, or batch, as the client would send it within its session. */
  post(url: string, body: unknown): Promise<Answer> {
    return post(url, body, this.#sessionHeaders());
  }

  /** A request whose answer is read as it comes. */
  async follow(url: string, method: string, params: Record<string, unknown> = {}): Promise<FollowedRequest> {
    const id = this.#nextId();
    const stream = await EventStream.open(url, {
      method: 'POST',
      headers: { ...postHeaders, ...this.#sessionHeaders() },
      body: JSON.stringify(message(method, params, id))
    });
    return { id, stream };
  }

  followTool(url: string, name: string, args: Record<string, unknown> = {}): Promise<FollowedRequest> {
    return this.follow(url, 'tools/call', { name, arguments: args });
  }

  delete(url: string): Promise<Answer> {
    return timed(signal => fetch(url, { method: 'DELETE', headers: this.#sessionHeaders(), signal }));
  }

  /** Opens the standalone stream; resolves when its head has arrived. */
  async stream(url: string): Promise<OpenStream> {
    const abort = new AbortController();
    const headers = { ...this.#sessionHeaders(), accept: 'text/event-stream' };
    const response = await fetch(url, { headers, signal: abort.signal });
    const messages: Message[] = [];
    return { status: response.status, messages, ended: collect(response, messages), close: () => abort.abort() };
  }

  #sessionHeaders(): Record<string, string> {
    const headers = { ...this.headers };
    if (this.sessionId !== undefined) headers['mcp-session-id'] = this.sessionId;
    if (this.protocolVersion !== undefined) headers['mcp-protocol-version'] = this.protocolVersion;
    return headers;
  }

  #nextId(): number {
    return ++this.#lastId;
  }
}

const postHeaders = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** A POST as a client of MCP makes it. */
export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const init = { method: 'POST', headers: { ...postHeaders, ...headers }, body: JSON.stringify(body) };
  return timed(signal => fetch(url, { ...init, signal }));
}

function message(method: string, params: Record<string, unknown>, id?: number): Record<string, unknown> {
  return id === undefined ? { jsonrpc: '2.0', method, params } : { jsonrpc: '2.0', id, method, params };
}

async function timed(send: (signal: AbortSignal) => Promise<Response>): Promise<Answer> {
  const start = performance.now();
  const response = await send(AbortSignal.timeout(answerTimeoutMs));
  const text = await response.text();
  const ms = performance.now() - start;
  return { status: response.status, headers: response.headers, text, messages: messagesIn(response, text), ms };
}

function messagesIn(response: Response, text: string): Message[] {
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('text/event-stream')) return eventsIn(text);
  if (!type.startsWith('application/json')) return [];
  return [JSON.parse(text) as Message | Message[]].flat();
}

/** The messages of complete events; those without data carry none. */
function eventsIn(text: string): Message[] {
  return text.split('\n\n').flatMap(event => {
    const data = event.split('\n').find(line => line.startsWith('data: ') && line.length > 'data: '.length);
    return data === undefined ? [] : [JSON.parse(data.slice('data: '.length)) as Message & JSONRPCMessage];
  });
}

async function collect(response: Response, messages: Message[]): Promise<void> {
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const end = text.lastIndexOf('\n\n');
      if (end < 0) continue;
      messages.push(...eventsIn(text.slice(0, end)));
      text = text.slice(end + 2);
    }
  } catch {
    // Closed by this side, or cut.
  }
}
