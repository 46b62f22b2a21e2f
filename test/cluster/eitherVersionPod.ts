import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseArgs } from 'node:util';
import { acceptedContent, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { Redis } from 'ioredis';
import {
  createMcpHandler as createFirstHandler,
  enableResourceSubscriptions,
  McpServer as FirstServer,
  RedisEventStore,
  RedisSessionStore,
  sessionState as firstSessionState
} from 'mcp-sdk-anypod/server';
import * as z from 'zod/v4';
import { createMcpHandler, sessionState } from '../../src/v2/index.js';
import { runPod } from '../support/pods/runPod.js';

/**
 * A pod with the same server in either version of the SDK. Each response names it in `x-pod`. The tool `hold` lets its
 * client come back for the answer, and gives it after `POST /release`; `GET /journal` tells how many such calls run here.
 */
const { values: flags } = parseArgs({
  options: {
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    /** The version of the SDK. */
    sdk: { type: 'string', default: '2' },
    /** Refuses clients of 2026-07-28. */
    'refuse-modern': { type: 'boolean', default: false }
  }
});

/** What the tool `change` tells of. */
const WATCHED = 'test://watched';

const pod = String(process.pid);
const redis = new Redis(flags.redis, { socketTimeout: 5000 });
const held = new Set<() => void>();
const options = {
  sessionStore: new RedisSessionStore({ redis }),
  eventStore: new RedisEventStore({ redis }),
  leaseMs: 1000,
  retryInterval: 100,
  onerror: (error: Error) => console.error(`${error.name}: ${error.message}`)
};
const handler =
  flags.sdk === '1'
    ? createFirstHandler(makeFirstServer, options)
    : createMcpHandler(makeServer, { ...options, modern: flags['refuse-modern'] ? 'refuse' : 'serve' });
await runPod(serve, {
  journal: () => held.size,
  async leave() {
    await handler.close({ drainMs: 20_000 });
    redis.disconnect();
  }
});

function serve(req: IncomingMessage, res: ServerResponse): void {
  res.setHeader('x-pod', pod);
  if (req.url !== '/release') return void handler.node(req, res);
  for (const release of held) release();
  res.end();
}

const info = { name: 'either version', version: '1' };
const capabilities = { resources: { subscribe: true, listChanged: true } };

async function change(): Promise<Text> {
  await handler.notify.resourceUpdated(WATCHED);
  return text(pod);
}

async function hold(closeStream: (() => void) | undefined): Promise<Text> {
  closeStream?.();
  let release = (): void => {};
  await new Promise<void>(resolve => held.add((release = resolve)));
  held.delete(release);
  return text(pod);
}

const increase = (count: number | undefined): number => (count ?? 0) + 1;
const read = ({ href }: URL) => ({ contents: [{ uri: href, text: '' }] });

function makeServer(): McpServer {
  const server = new McpServer(info, { capabilities });
  server.registerTool('where', {}, () => text(pod));
  server.registerTool('count', {}, async ctx => text(await sessionState<number>(ctx).update(increase)));
  const answer = z.object({ askedBy: z.string() });
  server.registerTool('ask', {}, ({ mcpReq }) => {
    const given = acceptedContent(mcpReq.inputResponses, 'question', answer);
    if (given) return text(given.askedBy);
    const question = inputRequired.elicit({ message: pod, requestedSchema: answer });
    return inputRequired({ inputRequests: { question } });
  });
  server.registerTool('change', {}, change);
  server.registerTool('hold', {}, ({ http }) => hold(http?.closeSSE));
  server.registerResource('watched', WATCHED, {}, read);
  // McpServer has no handlers for subscriptions of 2025 clients.
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  return server;
}

function makeFirstServer(): FirstServer {
  const server = new FirstServer(info, { capabilities });
  server.registerTool('where', {}, () => text(pod));
  server.registerTool('count', {}, async extra => text(await firstSessionState<number>(extra).update(increase)));
  server.registerTool('ask', {}, async ({ requestId }) => {
    const properties = { askedBy: { type: 'string' as const } };
    const { content } = await server.server.elicitInput(
      { message: pod, requestedSchema: { type: 'object', properties, required: ['askedBy'] } },
      { relatedRequestId: requestId }
    );
    return text(content?.askedBy);
  });
  server.registerTool('change', {}, change);
  server.registerTool('hold', {}, ({ closeSSEStream }) => hold(closeSSEStream));
  server.registerResource('watched', WATCHED, {}, read);
  enableResourceSubscriptions(server);
  return server;
}

interface Text {
  [key: string]: unknown;
  content: { type: 'text'; text: string }[];
}

function text(content: unknown): Text {
  return { content: [{ type: 'text', text: String(content) }] };
}
