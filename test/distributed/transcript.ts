import type { Message } from '../support/clients/rawClient.js';
import { labelOf } from './answers.js';
import type { Client } from './client.js';
import type { LogicalStream } from './logicalStream.js';
import type { Exchange } from './wire.js';

/** What a client has seen, in a form that is the same wherever it was served. */
export type Transcript = readonly unknown[];

/** What a response begins with. */
export function headSeen(client: Client, { status, headers }: Exchange): object {
  const session = headers.get('mcp-session-id');
  return {
    status,
    type: headers.get('content-type'),
    session: session === null ? 'none' : session === client.sessionId ? 'its own' : 'another',
    allow: headers.get('allow')
  };
}

/** A whole exchange: its messages in order. */
export function exchangeSeen(client: Client, exchange: Exchange): unknown {
  const messages = exchange.messages.map(message => named(client, message));
  return { ...headSeen(client, exchange), ...endSeen(exchange), messages };
}

function endSeen({ received, ended }: Exchange): object {
  return { logged: received.every(({ eventId }) => eventId !== undefined), ended };
}

/** One exchange with several requests: each keeps its order, and none has an order among the others. */
export function batchSeen(client: Client, exchange: Exchange, labels: Map<unknown, string>): unknown {
  const messages = bySource(client, exchange.messages, labels);
  return { ...headSeen(client, exchange), ...endSeen(exchange), messages };
}

/** A stream over all its connections. */
export function streamSeen(client: Client, stream: LogicalStream): unknown {
  return {
    duplicates: stream.duplicates,
    messages: stream.messages.map(message => named(client, message))
  };
}

/** The GET stream: calls that ran at the same time are told apart, those of one action from those of the next. */
export function standaloneSeen(client: Client, stream: LogicalStream): unknown {
  const actions = stream.messages.map(message => sourceOf(client, message).split('.')[0]);
  return {
    duplicates: stream.duplicates,
    actions: actions.filter((action, index) => action !== actions[index - 1]),
    messages: bySource(client, stream.messages, new Map())
  };
}

function bySource(client: Client, messages: Message[], labels: Map<unknown, string>): Record<string, unknown[]> {
  const sources: Record<string, unknown[]> = {};
  for (const message of messages) {
    const answered = message.method === undefined ? labels.get(message.id) : undefined;
    const source = answered ?? sourceOf(client, message);
    (sources[source] ??= []).push(named(client, message));
  }
  return Object.fromEntries(Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The label of the call that a message belongs to: `a<action>.<call>`. */
function sourceOf(client: Client, message: Message): string {
  const { method, params = {} } = message;
  if (method === 'notifications/cancelled') return callOf(client.questions.get(JSON.stringify(params.requestId)));
  if (method === 'notifications/message') return callOf(String(params.data).split(' ')[0]);
  if (method === 'notifications/progress') return callOf(String(params.progressToken));
  if (method !== undefined && message.id !== undefined) return callOf(labelOf(message));
  return callOf(params.label as string | undefined);
}

function callOf(label: string | undefined): string {
  return label?.split('/')[0] ?? 'nobody';
}

/** A message with what servers number replaced by what it is about. */
function named(client: Client, message: Message): unknown {
  const name = (id: unknown): string =>
    client.questions.get(JSON.stringify(id)) ?? `nothing that was asked: ${String(id)}`;
  const { method, id, params } = message;
  if (method === 'notifications/cancelled')
    return { ...message, params: { ...params, requestId: name(params?.requestId) } };
  if (method === undefined || id === undefined) return message;
  const meta = params?._meta as Record<string, unknown> | undefined;
  if (meta?.progressToken === undefined) return { ...message, id: name(id) };
  return {
    ...message,
    id: name(id),
    params: { ...params, _meta: { ...meta, progressToken: name(meta.progressToken) } }
  };
}
