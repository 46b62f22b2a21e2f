import { setTimeout as delay } from 'node:timers/promises';
import type { Server } from 'mcp-sdk-upstream/server/index.js';
import type { RequestHandlerExtra, RequestOptions } from 'mcp-sdk-upstream/shared/protocol.js';
import {
  EmptyResultSchema,
  ListRootsResultSchema,
  type Progress,
  type ServerNotification,
  type ServerRequest
} from 'mcp-sdk-upstream/types.js';

export type ToolExtra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** What a server can ask its client. */
export const QUESTIONS = ['sampling', 'form', 'url', 'roots', 'ping'] as const;
export type Question = (typeof QUESTIONS)[number];

export interface AskArguments {
  kind?: Question;
  text?: string;
  /** How many questions at once, each with its number behind the text. @default 1 */
  count?: number;
  timeoutMs?: number;
  /** Cancels the question after so many milliseconds. */
  abortAfterMs?: number;
  /** Asks on the standalone stream, not on the one that answers the call. */
  unrelated?: boolean;
}

/** What became of one question. */
export interface Asked {
  text: string;
  result?: Record<string, unknown>;
  error?: string;
  progress: Progress[];
}

/** Asks the client, and answers with what it said. */
export async function ask(server: Server, args: AskArguments, extra?: ToolExtra): Promise<Asked[]> {
  const { kind = 'form', text = '', count = 1 } = args;
  const texts = Array.from({ length: count }, (_, i) => (count === 1 ? text : `${text}/${i}`));
  return Promise.all(
    texts.map(async each => {
      const progress: Progress[] = [];
      const options: RequestOptions = { onprogress: made => progress.push(made), timeout: args.timeoutMs };
      if (!args.unrelated) options.relatedRequestId = extra?.requestId;
      if (args.abortAfterMs !== undefined) options.signal = AbortSignal.timeout(args.abortAfterMs);
      try {
        return { text: each, result: await askOne(server, kind, each, options), progress };
      } catch (error) {
        return { text: each, error: (error as Error).message, progress };
      }
    })
  );
}

function askOne(
  server: Server,
  kind: Question,
  text: string,
  options: RequestOptions
): Promise<Record<string, unknown>> {
  switch (kind) {
    case 'sampling':
      return server.createMessage(
        { messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens: 10 },
        options
      );
    case 'form':
      return server.elicitInput(
        { message: text, requestedSchema: { type: 'object', properties: { answer: { type: 'string' } } } },
        options
      );
    case 'url':
      return server.elicitInput(
        { mode: 'url', message: text, url: 'https://example.test/', elicitationId: text },
        options
      );
    case 'roots':
      return server.request({ method: 'roots/list', params: { _meta: { text } } }, ListRootsResultSchema, options);
    case 'ping':
      return server.request({ method: 'ping', params: { _meta: { text } } }, EmptyResultSchema, options);
  }
}

/** Reports its steps to whoever asked with a progress token. */
export async function makeProgress(args: { steps?: number; everyMs?: number }, extra: ToolExtra): Promise<string> {
  const { steps = 3, everyMs = 1 } = args;
  const progressToken = extra._meta?.progressToken;
  for (let progress = 1; progress <= steps; progress++) {
    await delay(everyMs);
    if (progressToken === undefined) continue;
    await extra.sendNotification({
      method: 'notifications/progress',
      params: { progressToken, progress, total: steps }
    });
  }
  return `made ${steps} steps`;
}

/** Never answers; resolves with the reason when it is cancelled, or its session ends. */
export async function untilAborted({ signal }: ToolExtra): Promise<string> {
  if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve));
  return String(signal.reason instanceof Error ? signal.reason.name : signal.reason);
}

/** Says something to the client that belongs to no request of it. */
export async function say(server: Server, what: string, text: string, sessionId?: string): Promise<void> {
  switch (what) {
    case 'tools':
      return server.sendToolListChanged();
    case 'resource':
      return server.sendResourceUpdated({ uri: text });
    default:
      return server.sendLoggingMessage({ level: what as 'info', data: text }, sessionId);
  }
}
