/**
 * A Worker with a tool of two seconds. Its first isolate gives `waitUntil` to the handler, its second does not. `/journal` has what happened.
 * It writes keep-alive comments often: workerd notices that a client has hung up when it writes to it.
 */
import { createMcpHandler, type McpHandler, McpServer } from 'mcp-sdk-anypod/server';
import {
  DurableObjectSessionStore,
  type ObjectNamespace,
  SessionObject
} from '../../examples/workers/durableObjectStore.js';

export { SessionObject };

const journal: string[] = [];
let handler: McpHandler | undefined;

export default {
  async fetch(
    request: Request,
    { POD, SESSIONS }: { POD: string; SESSIONS: ObjectNamespace },
    context: { waitUntil(work: Promise<unknown>): void }
  ): Promise<Response> {
    if (request.url.endsWith('/journal')) return new Response(journal.join());
    handler ??= createMcpHandler(makeServer, {
      sessionStore: new DurableObjectSessionStore(SESSIONS),
      keepAliveMs: 100,
      onerror: () => {}
    });
    if (POD === 'second') return handler.fetch(request);
    const isCall = request.headers.has('x-slow-call');
    return handler.fetch(request, {
      waitUntil: work => context.waitUntil(work.then(() => void (isCall && journal.push('settled'))))
    });
  }
};

function makeServer(): McpServer {
  const server = new McpServer({ name: 'workers', version: '1.0.0' });
  server.registerTool('wait', {}, async () => {
    journal.push('began');
    await new Promise(resolve => setTimeout(resolve, 2000));
    journal.push('ended');
    return { content: [] };
  });
  return server;
}
