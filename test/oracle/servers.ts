import { Server } from 'mcp-sdk-upstream/server/index.js';
import { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import {
  CreateMessageResultSchema,
  type JSONRPCMessage,
  type MessageExtraInfo,
  type RequestId
} from 'mcp-sdk-upstream/types.js';
import { z } from 'zod';
import type { Act, ServerKind } from './script.js';
import type { PlayedTransport } from './subjects.js';

/** What a responder does through the harness, so that it is recorded. */
export interface Host {
  send(message: JSONRPCMessage, relatedRequestId?: RequestId): Promise<void>;
  /** Resolves when what was sent has been dealt with by whatever is behind it. */
  settle(): Promise<void>;
  progressed(): void;
}

/** How far a server has got. */
export interface Progress {
  /** Requests that are being worked on. */
  readonly working: number;
  /** Messages at which it has thrown. */
  readonly thrown: number;
}

/** Connects the server that a script asks for. */
export async function connectServer(kind: ServerKind, transport: PlayedTransport, host: Host): Promise<Progress> {
  if (kind === 'responder') return new Responder(transport, host).connect();
  await (kind === 'mcp' ? mcpServer() : lowLevelServer()).connect(transport);
  return { working: 0, thrown: 0 };
}

/** Does what the messages tell it to, so that a script decides what a server would. */
class Responder implements Progress {
  readonly #transport: PlayedTransport;
  readonly #host: Host;
  working = 0;
  thrown = 0;

  constructor(transport: PlayedTransport, host: Host) {
    this.#transport = transport;
    this.#host = host;
  }

  async connect(): Promise<Progress> {
    const record = this.#transport.onmessage;
    this.#transport.onmessage = (message, extra) => {
      record?.(message, extra);
      if (!('method' in message) || !('id' in message)) return;
      if (message.method === 'initialize') return this.#welcome(message);
      this.#run(message, extra);
    };
    await this.#transport.start();
    return this;
  }

  #welcome(message: JSONRPCMessage & { id: RequestId; params?: Record<string, unknown> }): void {
    const { protocolVersion } = message.params ?? {};
    const welcome = { protocolVersion, capabilities: {}, serverInfo: { name: 'responder', version: '1.0.0' } };
    void this.#host.send({ jsonrpc: '2.0', id: message.id, result: welcome });
  }

  #run(message: JSONRPCMessage & { id: RequestId; params?: Record<string, unknown> }, extra?: MessageExtraInfo): void {
    const acts = message.params?.acts;
    if (!Array.isArray(acts)) return void this.#host.send({ jsonrpc: '2.0', id: message.id, result: {} });
    // Acts up to the first wait happen inside onmessage: what throws there throws into the transport.
    this.working++;
    const sends: Promise<void>[] = [];
    const go = (index: number): void => {
      for (let i = index; i < acts.length; i++) {
        const act = acts[i] as Act;
        if (act === 'take a turn') return void setImmediate(() => goLater(i + 1));
        if (act === 'wait for sends') {
          return void Promise.all(sends)
            .then(() => this.#host.settle())
            .then(() => goLater(i + 1));
        }
        const sent = this.#do(act, message.id, i, extra);
        if (sent) sends.push(sent);
      }
      this.#finish();
    };
    const goLater = (index: number): void => {
      try {
        go(index);
      } catch {
        this.#finish();
      }
    };
    try {
      go(0);
    } catch (error) {
      this.thrown++;
      this.#finish();
      throw error;
    }
  }

  #finish(): void {
    this.working--;
    this.#host.progressed();
  }

  #do(act: Act, id: RequestId, index: number, extra?: MessageExtraInfo): Promise<void> | undefined {
    const params = { about: String(id), act: index };
    switch (act) {
      case 'answer':
        return this.#host.send({ jsonrpc: '2.0', id, result: params });
      case 'fail':
        return this.#host.send({ jsonrpc: '2.0', id, error: { code: -32000, message: 'As asked', data: params } });
      case 'notify':
        return this.#host.send({ jsonrpc: '2.0', method: 'notifications/related', params }, id);
      case 'broadcast':
        return this.#host.send({ jsonrpc: '2.0', method: 'notifications/unrelated', params });
      case 'ask':
        return this.#host.send({ jsonrpc: '2.0', id: `ask-${index}`, method: 'ping' }, id);
      case 'throw':
        throw new Error('The server throws');
      case 'close':
        void this.#transport.close();
        return;
      case 'leave':
        extra?.closeSSEStream?.();
        return;
      case 'leave standalone':
        extra?.closeStandaloneSSEStream?.();
        return;
      default:
        throw new Error(`No such act: ${act as string}`);
    }
  }
}

function mcpServer(): McpServer {
  const server = new McpServer(
    { name: 'oracle', version: '1.0.0' },
    { capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } } }
  );
  const text = (value: unknown) => ({ content: [{ type: 'text' as const, text: JSON.stringify(value) }] });
  server.registerTool('echo', { inputSchema: { value: z.string() } }, ({ value }) => text(value));
  server.registerTool('fail', {}, () => {
    throw new Error('The tool fails');
  });
  server.registerTool('progress', {}, async ({ _meta, sendNotification }) => {
    const progressToken = _meta?.progressToken;
    for (let progress = 1; progressToken !== undefined && progress <= 3; progress++) {
      await sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } });
    }
    return text('done');
  });
  server.registerTool('log', {}, async () => {
    for (const level of ['debug', 'warning', 'error'] as const) {
      await server.sendLoggingMessage({ level, data: `a ${level}` });
    }
    return text('logged');
  });
  server.registerTool('ask', {}, async ({ sendRequest }) => {
    const answer = await sendRequest(
      { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } },
      CreateMessageResultSchema
    );
    return text(answer);
  });
  server.registerTool(
    'hang',
    {},
    ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('Aborted')));
      })
  );
  server.registerTool('grow', {}, () => {
    server.registerTool('grown', {}, () => text('grown'));
    return text('growing');
  });
  server.registerTool('who', {}, ({ sessionId, authInfo, requestInfo, closeSSEStream }) =>
    text({ sessionId, authInfo, requestInfo, polls: closeSSEStream !== undefined })
  );
  server.registerResource('note', 'note://one', {}, uri => ({ contents: [{ uri: uri.href, text: 'a note' }] }));
  server.registerPrompt('greet', {}, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'Hello' } }]
  }));
  return server;
}

function lowLevelServer(): Server {
  return new Server({ name: 'oracle', version: '1.0.0' }, { capabilities: {} });
}
