import type { QueuedMessage } from './sdkTasks.js';
import { sessionServer } from './liveServers.js';

/** As in JSON-RPC. */
const INTERNAL_ERROR = -32603;

/*
 * Allows any pod to deliver the messages of a task queue. A server counts the ids of its requests from 0, and waits for
 * the answer in its own process. The pod that is asked for the task's result delivers a queued request, and it may be
 * another pod. So a request is queued with an id that names its server, and is sent to the client unchanged. The
 * client's answer is routed by that id, like every other answer.
 */

/** Adds a message to a queue. Call it synchronously when the SDK queues the message. */
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
 * Sends errors to the servers whose requests were removed from a queue without delivery.
 * @returns the other messages
 */
export async function failRequests(messages: QueuedMessage[], sessionId: string | undefined): Promise<QueuedMessage[]> {
  const server = sessionServer(sessionId);
  if (!server) return messages;
  const others: QueuedMessage[] = [];
  for (const message of messages) {
    // The SDK uses the same error for its own queue.
    const error = { code: INTERNAL_ERROR, message: 'Task cancelled or completed' };
    const failed = message.type === 'request' && (await server.fail({ jsonrpc: '2.0', id: message.message.id, error }));
    if (!failed) others.push(message);
  }
  return others;
}
