import type { RedisClient } from './client.js';

/**
 * The Lua scripts: only what plain commands cannot do atomically. All keys of a script belong to one session and so
 * to one slot. Values are stored as they are given; nothing is decoded or encoded in Lua.
 */
export interface ScriptedClient {
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

/** Registers the scripts on a client: it sends their digest, and their text where a server does not know them yet. */
export function withScripts(client: RedisClient): RedisClient & ScriptedClient {
  client.defineCommand('anypodCreateSession', { numberOfKeys: 3, lua: CREATE });
  client.defineCommand('anypodPatchSession', { numberOfKeys: 2, lua: PATCH });
  client.defineCommand('anypodTouchRecord', { numberOfKeys: 2, lua: TOUCH_RECORD });
  client.defineCommand('anypodDeleteSession', { numberOfKeys: 3, lua: DELETE });
  return client as RedisClient & ScriptedClient;
}

/**
 * The Lua scripts of the application's state: two fields of the session's record, so that it is gone whenever the record
 * is. They leave the session's revision alone: pods that hold the record have nothing to learn from a change of the state.
 */
export interface ScriptedStateClient {
  /** Redis cuts an array at its first nil, so a state that was removed comes as its version alone. */
  anypodGetState(session: string, record: string): Promise<[version?: string, value?: string]>;
  anypodPutState(...args: (string | number)[]): Promise<number>;
}

/**
 * Reads the state.
 * KEYS: session, record.
 * Returns nothing where the session is missing, else the version, '0' before the first write, and the value where there
 * is one.
 * Atomic so that a session that ends meanwhile is not taken for one without a state.
 */
const GET_STATE = `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return {} end
local kept = redis.call('HMGET', KEYS[2], 'stateVersion', 'state')
if not kept[1] then return {'0'} end
if not kept[2] then return {kept[1]} end
return kept`;

/**
 * Replaces or removes the state.
 * KEYS: session, record. ARGV: the version that it must have or '', then the value, if any.
 * Returns 1, 0 where it has another version, -1 where the session is missing.
 * Atomic because another write, or the end of the session, may come between looking and writing.
 */
const PUT_STATE = `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return -1 end
local version = redis.call('HGET', KEYS[2], 'stateVersion') or '0'
if ARGV[1] ~= '' and ARGV[1] ~= version then return 0 end
if ARGV[2] then
  redis.call('HSET', KEYS[2], 'state', ARGV[2])
else
  redis.call('HDEL', KEYS[2], 'state')
end
redis.call('HINCRBY', KEYS[2], 'stateVersion', 1)
return 1`;

export function withStateScripts<C extends Pick<RedisClient, 'defineCommand'>>(client: C): C & ScriptedStateClient {
  client.defineCommand('anypodGetState', { numberOfKeys: 2, lua: GET_STATE });
  client.defineCommand('anypodPutState', { numberOfKeys: 2, lua: PUT_STATE });
  return client as C & ScriptedStateClient;
}
