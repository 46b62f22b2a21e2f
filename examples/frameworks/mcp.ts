/** The handler that the other examples in this folder serve: one server, sessions in Redis. */
import { Redis } from 'ioredis';
import { createMcpHandler, McpServer, RedisSessionStore, type ServerContext } from 'mcp-sdk-anypod/server';

export const port = Number(process.env.PORT ?? 3000);
export const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', {
  enableAutoPipelining: true,
  socketTimeout: 5000
});
redis.on('error', error => console.error(`Redis: ${error.message}`));

export const handler = createMcpHandler(createMcpServer, {
  sessionStore: new RedisSessionStore({ redis }),
  onerror: error => console.error(error.message)
});

function createMcpServer({ jsonSchemaValidator }: ServerContext): McpServer {
  const mcp = new McpServer({ name: 'frameworks', version: '1.0.0' }, { jsonSchemaValidator });
  mcp.registerTool('whoami', { description: 'Who calls, and which pod answers?' }, ({ authInfo }) => {
    const who = authInfo?.clientId ?? mcp.server.getClientVersion()?.name;
    return { content: [{ type: 'text', text: `${who} on pod ${process.pid}` }] };
  });
  return mcp;
}
