import { SubscribeRequestSchema, UnsubscribeRequestSchema } from 'mcp-sdk-upstream/types.js';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { InvalidOptionError } from '../errors.js';
import { kindOf } from '../validate.js';

/**
 * Lets the clients of an `McpServer` subscribe to resources: it does not have handlers for that. The transport keeps
 * the subscriptions with the session, and `handler.notify.resourceUpdated(uri)` reaches them from any pod. Call it
 * before the server is connected.
 * @throws InvalidOptionError
 */
export function enableResourceSubscriptions(mcpServer: McpServer): void {
  const { server } = (mcpServer as Partial<McpServer> | undefined) ?? {};
  if (!server) throw new InvalidOptionError('mcpServer', kindOf(mcpServer), 'an McpServer');
  server.registerCapabilities({ resources: { subscribe: true } });
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
}
