import type { JSONRPCMessage } from '../../sdkTypes.js';
import { messageOf } from '../http/messageForms.js';

/** The version of the messages between pods. A pod drops a message of a newer version and reports it. */
export const BUS_VERSION = 1;

/** The topic to which every pod's handler subscribes. It carries only {@link BroadcastBody}. */
export const ALL_PODS_TOPIC = 'hosts';

/** A notification for all sessions: each pod sends it to the clients that are attached to it. */
export interface BroadcastBody {
  type: 'broadcast';
  message: JSONRPCMessage;
  /** Limits the message to sessions that are subscribed to this resource. */
  subscribedTo?: string;
  /** The sender's namespace. Pods of another namespace ignore the message. */
  namespace?: string;
}

/** A message from one pod to the other pods that have a session live, or to all pods. */
export type BusBody =
  | BroadcastBody
  /** The client has answered a request of the server at `to`. */
  | { type: 'response'; to: string; message: JSONRPCMessage }
  /** The client reports progress of a request of the server at `to`. */
  | { type: 'progress'; to: string; message: JSONRPCMessage }
  /** The client cancels a request that may be open on another pod. */
  | { type: 'cancelled'; message: JSONRPCMessage }
  /** The client has sent a notification that every server of the session gets. */
  | { type: 'notification'; message: JSONRPCMessage }
  /**
   * A server sends a message on the standalone stream. The pod that holds the stream acknowledges its number. If the
   * pod `to` opens the stream before the acknowledgement, the message is sent to it again.
   */
  | {
      type: 'standalone';
      message: JSONRPCMessage;
      eventId?: string;
      /** The sender did not know of a stream and has not logged the message. The pod that holds one logs it. */
      unlogged?: boolean;
      seq?: number;
      to?: string;
    }
  /**
   * The client has opened its standalone stream at the sender. Other pods close theirs. `resumed`: the client has sent
   * the id of the last event that it received. `acknowledges`: older versions do not send it.
   */
  | { type: 'standalone-opened'; resumed?: boolean; acknowledges?: boolean; openingMs?: number }
  /**
   * A client opens its standalone stream at the sender, which does not take over. The pod that holds the stream
   * objects.
   */
  | { type: 'standalone-wanted' }
  /** The sender holds the standalone stream, and has written the messages with these numbers on it. */
  | { type: 'standalone-held'; to: string; seqs?: number[] }
  /** The server at the sender closes the standalone stream, so that the client reconnects. */
  | { type: 'standalone-close' }
  /**
   * The client has resumed this request stream at the sender. The owner replies, and sends later messages to the
   * sender.
   */
  | { type: 'stream-resumed'; streamId: string }
  | { type: 'stream-state'; to: string; streamId: string; open: boolean }
  | { type: 'stream-event'; streamId: string; message: JSONRPCMessage; eventId?: string }
  /**
   * The log has stored a message late, after it was sent without an id. The pod with the attached stream sends the
   * client a cursor.
   */
  | { type: 'event-stored'; streamId: string; message: JSONRPCMessage; eventId: string }
  /** No more messages follow on this request stream, for now or at all. */
  | { type: 'stream-close'; streamId: string }
  /** The record has changed: log level, subscriptions. */
  | { type: 'changed' }
  /** The session has ended. */
  | { type: 'ended' };

export type BusMessage = BusBody & {
  v: number;
  from: string;
  /** The context of the sender's trace (W3C Trace Context), if somebody traces it. Older versions ignore it. */
  traceparent?: string;
};

/** The required fields of each type, besides version, sender and type. */
const FIELDS: Record<BusBody['type'], readonly ('to' | 'message' | 'streamId' | 'eventId' | 'open')[]> = {
  broadcast: ['message'],
  response: ['to', 'message'],
  progress: ['to', 'message'],
  cancelled: ['message'],
  notification: ['message'],
  standalone: ['message'],
  'standalone-opened': [],
  'standalone-wanted': [],
  'standalone-held': ['to'],
  'standalone-close': [],
  'stream-resumed': ['streamId'],
  'stream-state': ['to', 'streamId', 'open'],
  'stream-event': ['streamId', 'message'],
  'event-stored': ['streamId', 'message', 'eventId'],
  'stream-close': ['streamId'],
  changed: [],
  ended: []
};

/** Fields that a message may lack. */
const OPTIONAL_FIELDS: Record<string, (value: unknown) => boolean> = {
  eventId: value => typeof value === 'string',
  traceparent: value => typeof value === 'string',
  subscribedTo: value => typeof value === 'string',
  namespace: value => typeof value === 'string',
  to: value => typeof value === 'string',
  seq: Number.isSafeInteger,
  seqs: value => Array.isArray(value) && value.every(Number.isSafeInteger),
  unlogged: value => typeof value === 'boolean',
  resumed: value => typeof value === 'boolean',
  acknowledges: value => typeof value === 'boolean',
  openingMs: value => typeof value === 'number' && value >= 0
};

/** A server's message is sent to its client unchanged, well-formed or not, as on the server's own pod. */
const SAID_BY_SERVERS = new Set<string>(['standalone', 'stream-event', 'event-stored'] satisfies BusBody['type'][]);

/** @throws Error with the reason why this version cannot parse the text */
export function parseBusMessage(text: string): BusMessage {
  return checked(JSON.parse(text));
}

/**
 * A message to all pods. Older versions of this package send neither a sender nor a type there.
 * @throws Error with the reason why this version cannot parse the text
 */
export function parseBroadcast(text: string): BroadcastBody {
  const body: unknown = JSON.parse(text);
  const message = checked(typeof body === 'object' ? { from: '', type: 'broadcast', ...body } : body);
  if (message.type !== 'broadcast') throw new Error(`its type '${message.type}' is not for all pods`);
  return message;
}

function checked(message: unknown): BusMessage {
  if (!isObject(message)) throw new Error('it is not an object');
  const { v, from, type } = message;
  if (v !== BUS_VERSION) throw new Error(`it is of version ${String(v)}, this pod supports ${BUS_VERSION}`);
  if (typeof from !== 'string' || typeof type !== 'string') throw new Error('it has no sender or no type');
  if (!Object.hasOwn(FIELDS, type)) throw new Error(`its type '${type.slice(0, 40)}' is unknown`);
  for (const [field, isValid] of Object.entries(OPTIONAL_FIELDS)) {
    if (message[field] !== undefined && !isValid(message[field])) throw new Error(`its ${field} has the wrong type`);
  }
  for (const field of FIELDS[type as BusBody['type']]) {
    if (field === 'message') message.message = clientMessage(message.message, SAID_BY_SERVERS.has(type));
    else if (typeof message[field] !== (field === 'open' ? 'boolean' : 'string')) throw new Error(`it has no ${field}`);
  }
  return message as unknown as BusMessage;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function clientMessage(message: unknown, asItIs: boolean): JSONRPCMessage {
  if (asItIs && isObject(message)) return message as unknown as JSONRPCMessage;
  const checked = messageOf(message);
  if (!checked) throw new Error('its message is not a JSON-RPC message');
  return checked;
}
