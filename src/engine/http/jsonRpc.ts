import type { JSONRPCMessage, JSONRPCRequest, RequestId } from '../../sdkTypes.js';
import { messageOf } from './messageForms.js';

export type Response = Extract<JSONRPCMessage, { result: unknown } | { error: unknown }>;

/**
 * Parses a message of a client or of another pod. It accepts exactly the values that the SDK's schema accepts.
 * @throws Error if it is not a message
 */
export function parseMessage(value: unknown): JSONRPCMessage {
  const message = messageOf(value);
  if (!message) throw new Error('Not a JSON-RPC message');
  return message;
}

export function isRequest(message: JSONRPCMessage): message is JSONRPCRequest {
  return 'method' in message && 'id' in message;
}

export function isResponse(message: JSONRPCMessage): message is Response {
  return !('method' in message) && ('result' in message || 'error' in message);
}

/** The end of the handshake. */
export function isInitialized(message: JSONRPCMessage): boolean {
  return 'method' in message && message.method === 'notifications/initialized';
}

/** The request that the client cancels with this message. */
export function cancelledBy(message: JSONRPCMessage): RequestId | undefined {
  if (!('method' in message) || message.method !== 'notifications/cancelled') return undefined;
  return message.params?.requestId as RequestId | undefined;
}
