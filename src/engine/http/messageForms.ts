import type { JSONRPCMessage } from '../../sdkTypes.js';

/*
 * The four forms of a JSON-RPC message: request, notification, result and error. The SDK checks them with a schema,
 * which costs far more and copies every message. Where the schema drops something (an own `__proto__`, unknown fields
 * of an error or of the name of a task), the copy here lacks it as well.
 */

const RELATED_TASK = 'io.modelcontextprotocol/related-task';

type Fields = Record<string, unknown>;

/** The message, unchanged or without what the SDK's schema drops; undefined if the schema would refuse it. */
export function messageOf(value: unknown): JSONRPCMessage | undefined {
  if (!isObject(value) || value.jsonrpc !== '2.0') return undefined;
  if (value.method !== undefined) return call(value);
  if (value.result !== undefined) return result(value);
  return failure(value);
}

function call(value: Fields): JSONRPCMessage | undefined {
  if (typeof value.method !== 'string') return undefined;
  for (const field in value) {
    switch (field) {
      case 'jsonrpc':
      case 'method':
      case 'params':
        break;
      case 'id':
        if (!isId(value.id)) return undefined;
        break;
      default:
        return undefined;
    }
  }
  return withBody(value, 'params');
}

function result(value: Fields): JSONRPCMessage | undefined {
  for (const field in value) if (field !== 'jsonrpc' && field !== 'id' && field !== 'result') return undefined;
  return isId(value.id) ? withBody(value, 'result') : undefined;
}

function failure(value: Fields): JSONRPCMessage | undefined {
  for (const field in value) if (field !== 'jsonrpc' && field !== 'id' && field !== 'error') return undefined;
  const { id, error } = value;
  if (id !== undefined && !isId(id)) return undefined;
  if (!isObject(error) || !Number.isSafeInteger(error.code) || typeof error.message !== 'string') return undefined;
  const { code, message, data } = error;
  for (const field in error) {
    if (field === 'code' || field === 'message' || field === 'data') continue;
    return messageWith(value, 'error', 'data' in error ? { code, message, data } : { code, message });
  }
  return value as unknown as JSONRPCMessage;
}

/** Checks the parameters or the result: any object, whose `_meta` has some known fields. */
function withBody(value: Fields, field: 'params' | 'result'): JSONRPCMessage | undefined {
  const body = value[field];
  if (body === undefined) return value as unknown as JSONRPCMessage;
  if (!isObject(body)) return undefined;
  const meta = body._meta;
  let kept: Fields | undefined = body;
  if (meta !== undefined) {
    const known = metaOf(meta);
    if (!known) return undefined;
    if (known !== meta) kept = { ...body, _meta: known };
  }
  kept = withoutProto(kept);
  return kept === body ? (value as unknown as JSONRPCMessage) : messageWith(value, field, kept);
}

/** @returns undefined if a known field has the wrong type */
function metaOf(meta: unknown): Fields | undefined {
  if (!isObject(meta)) return undefined;
  const { progressToken } = meta;
  if (progressToken !== undefined && !isId(progressToken)) return undefined;
  const task = meta[RELATED_TASK];
  if (task === undefined) return withoutProto(meta);
  if (!isObject(task) || typeof task.taskId !== 'string') return undefined;
  for (const field in task) {
    if (field !== 'taskId') return withoutProto({ ...meta, [RELATED_TASK]: { taskId: task.taskId } });
  }
  return withoutProto(meta);
}

function messageWith(value: Fields, field: string, body: Fields): JSONRPCMessage {
  return { ...value, [field]: body } as unknown as JSONRPCMessage;
}

/** Without an own field of this name, which the JSON parser makes: copying it would replace the prototype. */
function withoutProto(fields: Fields): Fields {
  if (!Object.hasOwn(fields, '__proto__')) return fields;
  return Object.fromEntries(Object.entries(fields).filter(([field]) => field !== '__proto__'));
}

function isId(value: unknown): value is string | number {
  return typeof value === 'string' || Number.isSafeInteger(value);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
