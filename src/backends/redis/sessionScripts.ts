import type { RedisBusClient, RedisClient, RedisEventClient } from './client.js';

/**
 * The Lua scripts: only what plain commands cannot do atomically. All keys of a script belong to one session and so
 * to one slot. Values are stored as they are given; nothing is decoded or encoded in Lua.
 */
interface ScriptedClient {
  anypodCreateSession(...args: (string | number)[]): Promise<number>;
  anypodPatchSession(...args: (string | number)[]): Promise<number>;
  anypodTouchRecord(...args: (string | number)[]): Promise<number>;
  anypodDeleteSession(...args: (string | number)[]): Promise<number>;
}

/**
 * Creates a session where nothing is and nothing was a moment ago.
 * KEYS: session, record, tombstone. ARGV: seconds to live of the session, of the record, then fields and values.
 * Returns 1, or 0 where there was something.
 * Atomic because two creations, or a creation and a deletion, may meet.
 * SET comes first because a full Redis refuses a script's first write only, and DEL at no time.
 */
const CREATE = `
if redis.call('EXISTS', KEYS[1], KEYS[3]) > 0 then return 0 end
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1`;

/**
 * Sets and removes single fields of a session that is there, and changes its revision.
 * KEYS: session, record. ARGV: number of fields to set, then fields and values, then fields to remove.
 * Returns 1, or 0 where the session is missing, or where an eviction policy took its record.
 * Atomic because the session may be deleted meanwhile, and must not come back.
 */
const PATCH = `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return 0 end
local last = 1 + 2 * tonumber(ARGV[1])
if last > 1 then redis.call('HSET', KEYS[2], unpack(ARGV, 2, last)) end
if #ARGV > last then redis.call('HDEL', KEYS[2], unpack(ARGV, last + 1)) end
redis.call('INCR', KEYS[1])
return 1`;

/**
 * Notes the activity of a session that is there, and starts both times to live anew.
 * KEYS: session, record. ARGV: seconds to live of the session, of the record, epoch milliseconds.
 * Returns 1, or 0 where the session is missing.
 * Atomic because writing a field of a hash that expired meanwhile would create it without a time to live.
 */
const TOUCH_RECORD = `
if redis.call('EXPIRE', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'a', ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1`;

/**
 * Removes a session and leaves a tombstone.
 * KEYS: session, record, tombstone. ARGV: seconds to live of the tombstone.
 * Returns 1, or 0 where the session was missing.
 * Atomic because a creation or a patch may meet it.
 */
const DELETE = `
local removed = redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[2])
if removed == 1 then redis.call('SET', KEYS[3], '1', 'EX', ARGV[1]) end
return removed`;

/**
 * Appends an event to a stream's log, once: a client library sends a command again when the connection breaks before the
 * answer. Between the two at most a few events of other pods come. Entries are read with their messages, which may be
 * large, so the caller names one that was there before the call: then there is hardly ever anything to read.
 * KEYS: events. ARGV: events to keep, seconds to live, the message, a name for this call, from where on the call may
 * have written (as in XRANGE).
 * Returns the id of the entry.
 * Atomic so that no log is ever without a time to live, and no event is there twice.
 */
const APPEND_EVENT = `
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', ARGV[5], 'COUNT', 8)) do
  if entry[2][4] == ARGV[4] then return entry[1] end
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'message', ARGV[3], 'call', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return id`;

/**
 * Publishes to every node of a Cluster.
 * KEYS: names the node to publish on. ARGV: channel, message.
 * A script because a client sends PUBLISH, which has no key, to any node: then messages overtake each other.
 */
const PUBLISH = `return redis.call('PUBLISH', ARGV[1], ARGV[2])`;

/** Registers the scripts on a client: it sends their digest, and their text where a server does not know them yet. */
export function withScripts(client: RedisClient): RedisClient & ScriptedClient {
  client.defineCommand('anypodCreateSession', { numberOfKeys: 3, lua: CREATE });
  client.defineCommand('anypodPatchSession', { numberOfKeys: 2, lua: PATCH });
  client.defineCommand('anypodTouchRecord', { numberOfKeys: 2, lua: TOUCH_RECORD });
  client.defineCommand('anypodDeleteSession', { numberOfKeys: 3, lua: DELETE });
  return client as RedisClient & ScriptedClient;
}

export interface ScriptedEventClient {
  anypodAppendEvent(
    key: string,
    maxEvents: number,
    ttlSeconds: number,
    message: string,
    call: string,
    since: string
  ): Promise<string>;
}

export function withEventScripts(client: RedisEventClient): ScriptedEventClient {
  client.defineCommand('anypodAppendEvent', { numberOfKeys: 1, lua: APPEND_EVENT });
  return client as unknown as ScriptedEventClient;
}

export interface ScriptedBusClient {
  anypodPublish(key: string, channel: string, message: string): Promise<unknown>;
}

export function withBusScripts(client: RedisBusClient): ScriptedBusClient {
  client.defineCommand('anypodPublish', { numberOfKeys: 1, lua: PUBLISH });
  return client as unknown as ScriptedBusClient;
}

export type { ScriptedClient };
