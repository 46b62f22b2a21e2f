import type { McpServer } from 'mcp-sdk-anypod/server';
import { z } from 'zod';
import { makeServer } from './servers.js';

/** The echo server, and a tool that says `count` things before it answers. */
export function streamTools(): McpServer {
  const server = makeServer();
  server.registerTool('talk', { inputSchema: { count: z.number() } }, async ({ count }, extra) => {
    for (let said = 0; said < count; said++) {
      await extra.sendNotification({
        method: 'notifications/message',
        params: { level: 'info', data: `event number ${said} of a stream that a client comes back to` }
      });
    }
    return { content: [{ type: 'text', text: 'done' }] };
  });
  return server;
}
