import type { QueuedMessage } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import { ErrorCode } from 'mcp-sdk-upstream/types.js';
import { sessionServer } from './liveServers.js';

/*
 * What a queue of task messages does so that any pod may deliver them. A server knows its requests by ids that it counts
 * up from 0, and waits for the answer in its own process. Whoever asks for the task's result delivers a queued request,
 * maybe on another pod. So a request is queued under the id that names its server, and goes on the wire as it was
 * queued; the client's answer is routed by that id, like every other.
 */

/** Puts a message into a queue; call it in the step in which the SDK queues the message. */
export async function pushMessage(
  message: QueuedMessage,
  sessionId: string | undefined,
  push: (message: QueuedMessage) => Promise<void>
): Promise<void> {
  const server = message.type === 'request' ? sessionServer(sessionId) : undefined;
  if (message.type !== 'request' || !server) return push(message);
  await server.sendBy(message.message, addressed => push({ ...message, message: addressed }));
}

/**
 * Fails the requests among messages that were taken from a queue and will not be delivered, at the servers that asked.
 * @returns the other messages
 */
export async function failRequests(messages: QueuedMessage[], sessionId: string | undefined): Promise<QueuedMessage[]> {
  const server = sessionServer(sessionId);
  if (!server) return messages;
  const others: QueuedMessage[] = [];
  for (const message of messages) {
    // As the SDK fails the requests that it finds in a queue of its own.
    const error = { code: ErrorCode.InternalError, message: 'Task cancelled or completed' };
    const failed = message.type === 'request' && (await server.fail({ jsonrpc: '2.0', id: message.message.id, error }));
    if (!failed) others.push(message);
  }
  return others;
}
