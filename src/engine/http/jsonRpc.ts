import {
  type JSONRPCMessage,
  JSONRPCMessageSchema,
  type JSONRPCRequest,
  type RequestId
} from 'mcp-sdk-upstream/types.js';

export type Response = Extract<JSONRPCMessage, { result: unknown } | { error: unknown }>;

/**
 * Parses a client's message. Nearly all messages are recognised by their few fields. The SDK's schema, which costs far
 * more, checks the others.
 * @throws ZodError if it is not a message
 */
export function parseMessage(value: unknown): JSONRPCMessage {
  return isPlainCall(value) ? value : JSONRPCMessageSchema.parse(value);
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

/** Whether it is a request or notification that the schema would accept and return unchanged. */
function isPlainCall(value: unknown): value is JSONRPCMessage {
  if (!isPlainObject(value) || value.jsonrpc !== '2.0' || typeof value.method !== 'string') return false;
  for (const field in value) {
    switch (field) {
      case 'jsonrpc':
      case 'method':
        break;
      case 'id':
        if (typeof value.id !== 'string' && !Number.isSafeInteger(value.id)) return false;
        break;
      case 'params':
        if (!isPlainObject(value.params) || '_meta' in value.params || Object.hasOwn(value.params, '__proto__')) {
          return false;
        }
        break;
      default:
        return false;
    }
  }
  return true;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
