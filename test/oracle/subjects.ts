import { InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { StreamableHTTPServerTransport } from 'mcp-sdk-anypod/server/streamableHttp.js';
import type { StreamableHTTPServerTransportOptions } from 'mcp-sdk-anypod/server/streamableHttp.js';
import { WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server/webStandardStreamableHttp.js';
import { StreamableHTTPServerTransport as StockNodeTransport } from 'mcp-sdk-upstream/server/streamableHttp.js';
import { WebStandardStreamableHTTPServerTransport as StockWebTransport } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { Transport } from 'mcp-sdk-upstream/shared/transport.js';
import type { RequestId } from 'mcp-sdk-upstream/types.js';
import type { Conversation, Signal } from './conversation.js';
import { exchangeOverNode, exchangeOverWeb, type NodeHandler, type WebHandler } from './endpoints.js';
import type { HttpRequest } from './script.js';

/** What a script is played to: one of the transport classes, in one of its modes. */
export interface Subject {
  readonly name: string;
  readonly adapter: 'node' | 'web';
  readonly mode: 'stock' | 'memory' | 'external';
  /** The version of the SDK that it is of, or is for. */
  readonly sdk: 1 | 2;
  /** @param store - what a store that fails is to fail at: everything but creating a session */
  create(options: StreamableHTTPServerTransportOptions, store?: 'failing'): PlayedTransport;
}

/** The methods of a transport that a script calls, and a way to send it exchanges. */
export interface PlayedTransport extends Transport {
  closeSSEStream(requestId: RequestId): void;
  closeStandaloneSSEStream(): void;
}

export function exchangeWith(
  subject: Subject,
  transport: PlayedTransport,
  request: HttpRequest,
  signal: Signal,
  presetHeaders: Record<string, string>
): Promise<Conversation> {
  const { handleRequest } = transport as unknown as { handleRequest: NodeHandler & WebHandler };
  return subject.adapter === 'node'
    ? exchangeOverNode(handleRequest.bind(transport), request, signal, presetHeaders)
    : exchangeOverWeb(handleRequest.bind(transport), request, signal);
}

type Create = Subject['create'];

function subject(adapter: Subject['adapter'], mode: Subject['mode'], create: Create): Subject {
  return { name: `${adapter}, ${mode}`, adapter, mode, sdk: 1, create };
}

export const external = (options: StreamableHTTPServerTransportOptions, store: 'failing' | undefined) => ({
  ...options,
  sessionStore: store === 'failing' ? new FailingSessionStore() : new InMemorySessionStore()
});

/** Opens sessions and then goes away. */
class FailingSessionStore extends InMemorySessionStore {
  override touchSession(): Promise<never> {
    return Promise.reject(new Error('The session store is down'));
  }
}

export const oracles = {
  node: subject('node', 'stock', options => new StockNodeTransport(options)),
  web: subject('web', 'stock', options => new StockWebTransport(options))
};

export const subjects: Subject[] = [
  subject('node', 'memory', options => new StreamableHTTPServerTransport(options)),
  subject('node', 'external', (options, store) => new StreamableHTTPServerTransport(external(options, store))),
  subject('web', 'memory', options => new WebStandardStreamableHTTPServerTransport(options)),
  subject('web', 'external', (options, store) => new WebStandardStreamableHTTPServerTransport(external(options, store)))
];
