import { type JSONRPCMessage, JSONRPCMessageSchema } from 'mcp-sdk-upstream/types.js';

/** The version of what pods say to each other; a pod that hears a newer one drops it and says so. */
export const BUS_VERSION = 1;

/** The topic to which the handler of every pod listens: it gets {@link BroadcastBody} alone. */
export const ALL_PODS_TOPIC = 'hosts';

/** A notification for all sessions: each pod sends it to the clients that are attached to it. */
export interface BroadcastBody {
  type: 'broadcast';
  message: JSONRPCMessage;
  /** Only to sessions that are subscribed to this resource. */
  subscribedTo?: string;
  /** The sender's: pods of another namespace ignore the message. */
  namespace?: string;
}

/** What one pod tells the others that have a session live, or all pods. */
export type BusBody =
  | BroadcastBody
  /** The client has answered a request of the server at `to`. */
  | { type: 'response'; to: string; message: JSONRPCMessage }
  /** The client reports progress of a request of the server at `to`. */
  | { type: 'progress'; to: string; message: JSONRPCMessage }
  /** The client cancels a request that is open on another pod, if it is open at all. */
  | { type: 'cancelled'; message: JSONRPCMessage }
  /** The client has sent a notification that every server of the session gets. */
  | { type: 'notification'; message: JSONRPCMessage }
  /**
   * A server sends a message on the standalone stream: for the pod that holds it, which acknowledges its number. It is sent
   * again, to the pod `to`, if that one opens the stream before it was acknowledged.
   */
  | {
      type: 'standalone';
      message: JSONRPCMessage;
      eventId?: string;
      /** The sender knew of no stream, and has not logged the message: the pod that holds one does. */
      unlogged?: boolean;
      seq?: number;
      to?: string;
    }
  /**
   * The client has opened its standalone stream at the sender: others close theirs. `resumed`: it has named the last event
   * that it has seen. `acknowledges`: absent from pods of older versions.
   */
  | { type: 'standalone-opened'; resumed?: boolean; acknowledges?: boolean; openingMs?: number }
  /** A client wants its standalone stream at the sender, which does not take over: who holds it objects. */
  | { type: 'standalone-wanted' }
  /** The sender holds the standalone stream, and has written the messages with these numbers on it. */
  | { type: 'standalone-held'; to: string; seqs?: number[] }
  /** The server at the sender wants the standalone stream closed, so that the client reconnects. */
  | { type: 'standalone-close' }
  /** The client has resumed this request stream at the sender: who runs it says so, and sends there what follows. */
  | { type: 'stream-resumed'; streamId: string }
  | { type: 'stream-state'; to: string; streamId: string; open: boolean }
  | { type: 'stream-event'; streamId: string; message: JSONRPCMessage; eventId?: string }
  /** The log has stored a message late that went out without its id: who has the stream attached gives the client a cursor. */
  | { type: 'event-stored'; streamId: string; message: JSONRPCMessage; eventId: string }
  /** Nothing follows on this request stream, for now or for ever. */
  | { type: 'stream-close'; streamId: string }
  /** The record has changed: log level, subscriptions. */
  | { type: 'changed' }
  /** The session has ended. */
  | { type: 'ended' };

export type BusMessage = BusBody & { v: number; from: string };

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

/** What a server has said goes to its client as it is, well-formed or not, as it does on the server's own pod. */
const SAID_BY_SERVERS = new Set<string>(['standalone', 'stream-event', 'event-stored'] satisfies BusBody['type'][]);

/** @throws Error that says why the text is not a message that this version understands */
export function parseBusMessage(text: string): BusMessage {
  return checked(JSON.parse(text));
}

/**
 * A message to all pods. Older versions of this package send neither a sender nor a type there.
 * @throws Error that says why the text is not a message that this version understands
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
  if (v !== BUS_VERSION) throw new Error(`it is of version ${String(v)}, this pod speaks ${BUS_VERSION}`);
  if (typeof from !== 'string' || typeof type !== 'string') throw new Error('it has no sender or no type');
  if (!Object.hasOwn(FIELDS, type)) throw new Error(`its type '${type.slice(0, 40)}' is unknown`);
  for (const [field, isValid] of Object.entries(OPTIONAL_FIELDS)) {
    if (message[field] !== undefined && !isValid(message[field])) throw new Error(`its ${field} is of the wrong kind`);
  }
  for (const field of FIELDS[type as BusBody['type']]) {
    if (field === 'message') message.message = messageOf(message.message, SAID_BY_SERVERS.has(type));
    else if (typeof message[field] !== (field === 'open' ? 'boolean' : 'string')) throw new Error(`it has no ${field}`);
  }
  return message as unknown as BusMessage;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function messageOf(message: unknown, asItIs: boolean): JSONRPCMessage {
  if (asItIs && typeof message === 'object' && message !== null) return message as JSONRPCMessage;
  const { data } = JSONRPCMessageSchema.safeParse(message);
  if (!data) throw new Error('its message is no JSON-RPC message');
  return data;
}
