/** A consumer of the SDK and of the fork, as source text: `name` is what the fork is imported by. */
export function consumer(name: string): string {
  return `
import { createServer } from 'node:http';
import { Client } from '${name}/client/index.js';
import { StreamableHTTPClientTransport } from '${name}/client/streamableHttp.js';
import { requireBearerAuth } from '${name}/server/auth/middleware/bearerAuth.js';
import { createMcpHandler, InMemorySessionStore, McpServer as SameServer, RedisSessionStore, Server } from '${name}/server';
import { McpServer } from '${name}/server/mcp.js';
import { StreamableHTTPServerTransport } from '${name}/server/streamableHttp';
import { WebStandardStreamableHTTPServerTransport, type EventStore } from '${name}/server/webStandardStreamableHttp.js';
import type { Transport } from '${name}/shared/transport.js';
import { type CallToolResult, McpError } from '${name}/types.js';
import { AjvJsonSchemaValidator } from '${name}/validation/ajv';
import { z } from 'zod';

const server: McpServer = new SameServer({ name: 'consumer', version: '1' });
const low: Server = server.server;
server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }): CallToolResult => ({
  content: [{ type: 'text', text: String(a + b) }]
}));
const transport: Transport = new StreamableHTTPServerTransport({
  sessionIdGenerator: () => 'id',
  sessionStore: new InMemorySessionStore(),
  onsessionrecovered: (id: string) => void id
});
const web: Transport = new WebStandardStreamableHTTPServerTransport({ eventStore: {} as EventStore });
export const handler = createMcpHandler(() => new McpServer({ name: 'consumer', version: '1' }));
createServer(handler.node);
// @ts-expect-error the store needs a client
new RedisSessionStore({});
await Promise.all([server.connect(transport), new Client({ name: 'c', version: '1' }).connect(new StreamableHTTPClientTransport(new URL('http://x')))]);
export { low, web, McpError, AjvJsonSchemaValidator, requireBearerAuth };
`;
}

/** The same, in CommonJS: no top-level \`await\`. */
export const commonJsConsumer = (name: string): string => consumer(name).replace(/^await /m, 'void ');
