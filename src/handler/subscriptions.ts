import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from 'mcp-sdk-upstream/types.js';

/**
 * Lets the clients of an `McpServer` subscribe to resources, which it has no handler for. The transport keeps what they
 * subscribe to with the session, and `handler.notify.resourceUpdated(uri)` reaches them from any pod.
 * Call it before the server is connected.
 */
export function enableResourceSubscriptions({ server }: McpServer): void {
  server.registerCapabilities({ resources: { subscribe: true } });
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
}
