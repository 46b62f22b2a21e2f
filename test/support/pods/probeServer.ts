import { setTimeout as delay } from 'node:timers/promises';
import { Server } from 'mcp-sdk-upstream/server/index.js';
import { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import type { Transport } from 'mcp-sdk-upstream/shared/transport.js';
import {
  CallToolRequestSchema,
  type CallToolResult,
  type LoggingLevel,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema
} from 'mcp-sdk-upstream/types.js';
import type { McpHandlerOptions, ReplayedMessageExtraInfo, StreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import { z } from 'zod';
import { ask, type Asked, type AskArguments, makeProgress, say, type ToolExtra, untilAborted } from './askingTools.js';
import { keepState, type StateArguments } from './stateTool.js';

/** What happened in one process, in order; everything that belongs to a session says to which. */
export interface Entry {
  what:
    | 'factory'
    | 'onsessioninitialized'
    | 'onsessionrecovered'
    | 'onsessionclosed'
    | 'oninitialized'
    | 'server closed'
    | 'message'
    | 'tool'
    | 'aborted'
    | 'subscribe'
    | 'unsubscribe'
    | 'error'
    | 'server error';
  sessionId?: string;
  /** The method of a message, the name of a tool, the URI of a subscription, the text of an error. */
  name?: string;
  params?: unknown;
  /** Of a factory: whether it recovers. Of a message: whether it was replayed. */
  again?: boolean;
}

/** A log of what the probe servers and their host see, for tests to read from outside. */
export class Journal {
  readonly entries: Entry[] = [];

  add(entry: Entry): void {
    this.entries.push(entry);
  }

  /** The host's callbacks, written down. */
  callbacks(): McpHandlerOptions {
    return {
      onsessioninitialized: sessionId => this.add({ what: 'onsessioninitialized', sessionId }),
      onsessionrecovered: sessionId => this.add({ what: 'onsessionrecovered', sessionId }),
      onsessionclosed: sessionId => this.add({ what: 'onsessionclosed', sessionId }),
      onerror: error => this.add({ what: 'error', name: describe(error) })
    };
  }
}

function describe(error: Error): string {
  return `${error.name}: ${error.message}${error.cause instanceof Error ? ` (${describe(error.cause)})` : ''}`;
}

/** A server whose tools tell what it knows. `live` are those that were not closed. */
export class ProbeServer {
  static readonly live = new Set<ProbeServer>();
  readonly #journal: Journal;
  readonly #server: Server;
  readonly #outer: { connect(transport: Transport): Promise<void>; close(): Promise<void> };
  readonly #subscriptions = new Set<string>();
  #transport: Transport | undefined;

  /** @param kind - on which of the SDK's two server classes it is built; the low-level one keeps subscriptions */
  constructor(journal: Journal, kind: 'McpServer' | 'Server', recovering?: boolean) {
    this.#journal = journal;
    const info = { name: kind, version: '1' };
    if (kind === 'McpServer') {
      const server = new McpServer(info, { capabilities: { logging: {} } });
      this.#outer = server;
      this.#server = server.server;
      const inputSchema = z.looseObject({});
      for (const name of tools) {
        server.registerTool(name, { inputSchema }, (args, extra) => this.#call(name, args, extra));
      }
    } else {
      const capabilities = { logging: {}, tools: {}, resources: { subscribe: true } };
      this.#outer = this.#server = new Server(info, { capabilities });
      this.#server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
        this.#call(params.name, params.arguments ?? {}, extra)
      );
      this.#keepSubscriptions();
    }
    this.#server.onerror = error => this.#note({ what: 'server error', name: error.message });
    this.#server.oninitialized = () => this.#note({ what: 'oninitialized' });
    journal.add({ what: 'factory', again: recovering });
  }

  /** Connects, and looks at every message on its way in. */
  async connect(transport: Transport): Promise<void> {
    this.#transport = transport;
    this.#server.onclose = () => {
      ProbeServer.live.delete(this);
      this.#note({ what: 'server closed' });
    };
    await this.#outer.connect(transport);
    const onmessage = transport.onmessage;
    transport.onmessage = (message, extra?: ReplayedMessageExtraInfo) => {
      if ('method' in message) {
        const { method: name, params } = message;
        this.#note({ what: 'message', name, params, again: extra?.replayed ?? false });
      }
      onmessage?.(message, extra);
    };
    ProbeServer.live.add(this);
  }

  close(): Promise<void> {
    return this.#outer.close();
  }

  get transport(): StreamableHTTPServerTransport | undefined {
    return this.#transport as StreamableHTTPServerTransport | undefined;
  }

  /** Speaks to the client while no exchange asks it to. */
  say(what: string, text: string): Promise<void> {
    return say(this.#server, what, text, this.#transport?.sessionId);
  }

  ask(args: AskArguments): Promise<Asked[]> {
    return ask(this.#server, args);
  }

  #note(entry: Entry): void {
    this.#journal.add({ sessionId: this.#transport?.sessionId, ...entry });
  }

  #keepSubscriptions(): void {
    this.#server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }) => {
      this.#subscriptions.add(uri);
      this.#note({ what: 'subscribe', name: uri });
      return {};
    });
    this.#server.setRequestHandler(UnsubscribeRequestSchema, ({ params: { uri } }) => {
      this.#subscriptions.delete(uri);
      this.#note({ what: 'unsubscribe', name: uri });
      return {};
    });
  }

  async #call(name: string, args: Record<string, unknown>, extra: ToolExtra): Promise<CallToolResult> {
    this.#note({ what: 'tool', name });
    return { content: [{ type: 'text', text: await this.#answer(name, args, extra) }] };
  }

  async #answer(name: string, args: Record<string, unknown>, extra: ToolExtra): Promise<string> {
    switch (name) {
      case 'echo':
        return String(args.text);
      case 'slow':
        await delay(Number(args.ms));
        return 'done';
      case 'log':
        for (const level of ['debug', 'info', 'warning', 'error', 'emergency'] satisfies LoggingLevel[]) {
          await this.#server.sendLoggingMessage({ level, data: args.text }, extra.sessionId);
        }
        return 'logged';
      case 'ask':
        return JSON.stringify(await ask(this.#server, args, extra));
      case 'progress':
        return makeProgress(args, extra);
      case 'state':
        return JSON.stringify(await keepState(args as unknown as StateArguments, extra));
      case 'hang':
        this.#note({ what: 'aborted', name: await untilAborted(extra) });
        return 'aborted';
      default:
        return JSON.stringify({
          pid: process.pid,
          sessionId: extra.sessionId,
          client: this.#server.getClientVersion(),
          capabilities: this.#server.getClientCapabilities(),
          subscriptions: [...this.#subscriptions].sort(),
          subject: extra.authInfo?.extra?.sub,
          token: extra.authInfo?.token
        });
    }
  }
}

/** What the tool `whoami` answers, as JSON. */
export interface WhoAmI {
  pid: number;
  sessionId: string;
  client: { name: string; version: string } | undefined;
  capabilities: Record<string, unknown> | undefined;
  subscriptions: string[];
  subject?: string;
  token?: string;
}

const tools = ['echo', 'slow', 'log', 'ask', 'progress', 'hang', 'state', 'whoami'] as const;
