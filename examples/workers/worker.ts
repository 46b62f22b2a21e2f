/**
 * An MCP server on Cloudflare Workers. Any isolate serves any session, because the sessions are Durable Objects.
 *
 * wrangler.toml needs the binding SESSIONS of the class SessionObject, with `new_sqlite_classes = ["SessionObject"]`.
 */
import { createMcpHandler, type McpHandler, McpServer, type ServerFactory } from 'mcp-sdk-anypod/server';
import { DurableObjectSessionStore, type ObjectNamespace, SessionObject } from './durableObjectStore.js';

export { SessionObject };

interface Env {
  readonly SESSIONS: ObjectNamespace;
  /** For the answer of the tool `where`. */
  readonly POD?: string;
}

/** The part of Cloudflare's `ExecutionContext` that is used here. */
interface Context {
  waitUntil(work: Promise<unknown>): void;
}

let handler: McpHandler | undefined;
/** How the calls of the tool `wait` went in this isolate. */
const journal: string[] = [];

export default {
  fetch(request: Request, env: Env, context: Context): Promise<Response> {
    // Made in the first request: an isolate gets its bindings with a request.
    handler ??= createMcpHandler(serverFactory(env), {
      sessionStore: new DurableObjectSessionStore(env.SESSIONS),
      onerror: error => console.error(error.message)
    });
    // With the context a tool runs to its end, for up to 30 seconds, even if its client hangs up.
    return handler.fetch(request, context);
  }
};

function serverFactory({ POD = 'worker' }: Env): ServerFactory {
  return ({ jsonSchemaValidator }) => {
    const server = new McpServer(
      { name: 'workers', version: '1.0.0' },
      { capabilities: { logging: {} }, jsonSchemaValidator }
    );
    server.registerTool('where', {}, () => answer(POD));
    server.registerTool('ask', {}, async ({ requestId }) => {
      const requestedSchema = {
        type: 'object' as const,
        properties: { name: { type: 'string' as const } },
        required: ['name']
      };
      const { action, content } = await server.server.elicitInput(
        { message: 'Who?', requestedSchema },
        // On the stream of this call, which is in this isolate. The GET stream may be in another one.
        { relatedRequestId: requestId }
      );
      return answer(`${action} ${String(content?.name)} on ${POD}`);
    });
    server.registerTool('notify', {}, async () => {
      await server.server.sendLoggingMessage({ level: 'info', data: `from ${POD}` });
      return answer(POD);
    });
    server.registerTool('wait', {}, async () => {
      journal.push('began');
      await new Promise(resolve => setTimeout(resolve, 1000));
      journal.push('ended');
      return answer(POD);
    });
    server.registerTool('journal', {}, () => answer(journal.join()));
    return server;
  };
}

function answer(text: string) {
  return { content: [{ type: 'text' as const, text }] };
}
