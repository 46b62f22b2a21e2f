import type { Script } from './database.js';

/*
 * The Lua scripts of sessions, for steps that plain commands cannot do atomically. All keys of a script belong to one
 * session and so to one slot. Values are stored as they arrive; Lua does not decode or encode them.
 */

/**
 * Creates a session unless it exists or was deleted a moment ago.
 * KEYS: session, record, tombstone. ARGV: seconds to live of the session, of the record, the first revision, then fields
 * and values.
 * Returns 1, or 0 if the session or its tombstone exists.
 * Atomic because two creations, or a creation and a deletion, may run at the same time.
 * SET comes first because a full Redis refuses only the first write of a script, and never DEL.
 * The caller chooses the revision at random: a pod that has an expired session of the same id live must not take the new
 * one for it.
 */
const CREATE_SESSION: Script = {
  name: 'anypodCreateSession',
  numberOfKeys: 3,
  lua: `
if redis.call('EXISTS', KEYS[1], KEYS[3]) > 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1`
};

/**
 * Sets and removes single fields of a session that exists, and raises its revision.
 * KEYS: session, record. ARGV: the amount to add to the revision, number of fields to set, then fields and values, then
 * fields to remove.
 * Returns 1, or 0 if the session is missing, or if an eviction policy removed its record.
 * Atomic because the session may be deleted meanwhile, and must not be created again.
 * The caller chooses the raise at random: after a failover that lost a write, the next write must not give different
 * content the revision of the lost write.
 */
const PATCH_SESSION: Script = {
  name: 'anypodPatchSession',
  numberOfKeys: 2,
  lua: `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return 0 end
local last = 2 + 2 * tonumber(ARGV[2])
if last > 2 then redis.call('HSET', KEYS[2], unpack(ARGV, 3, last)) end
if #ARGV > last then redis.call('HDEL', KEYS[2], unpack(ARGV, last + 1)) end
redis.call('INCRBY', KEYS[1], ARGV[1])
return 1`
};

/**
 * Records the activity of a session that exists, and restarts both times to live.
 * KEYS: session, record. ARGV: seconds to live of the session, of the record, epoch milliseconds.
 * Returns 1, or 0 if the session is missing.
 * Atomic because writing a field of a hash that expired meanwhile would create it without a time to live.
 */
const TOUCH_RECORD: Script = {
  name: 'anypodTouchRecord',
  numberOfKeys: 2,
  lua: `
if redis.call('EXPIRE', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'a', ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1`
};

/**
 * Removes a session and leaves a tombstone, which names the call.
 * KEYS: session, record, tombstone. ARGV: seconds to live of the tombstone, a name for this call.
 * Returns 1, or 0 if the session was missing. After it, returns the fields and values of the record that name the
 * indexes of the session, which have other slots.
 * Atomic because a creation or a patch may run at the same time. A client library sends a command again if the connection
 * breaks before the reply: the tombstone distinguishes such a repetition from another caller, which deleted nothing.
 */
const DELETE_SESSION: Script = {
  name: 'anypodDeleteSession',
  numberOfKeys: 3,
  lua: `
local reply = {redis.call('DEL', KEYS[1])}
if reply[1] == 0 then
  redis.call('DEL', KEYS[2])
  if redis.call('GET', KEYS[3]) == ARGV[2] then return {1} end
  return reply
end
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.find(field, '^[um]%d*$') or string.find(field, '^s:') then
    table.insert(reply, field)
    table.insert(reply, redis.call('HGET', KEYS[2], field))
  end
end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[3], ARGV[2], 'EX', ARGV[1])
return reply`
};

/**
 * Adds members to an index, or refreshes their entries, and removes expired entries.
 * KEYS: the index. ARGV: seconds that the entries are valid, the members: sessions, or streams of a session.
 * Returns 1, or the error if Redis is full.
 * Atomic because the times are those of Redis' own clock, which all pods share.
 * ZADD comes first because a full Redis refuses only the first write of a script. Entries are still removed then.
 */
const INDEX_SESSION: Script = {
  name: 'anypodIndexSession',
  numberOfKeys: 1,
  lua: `
local now = tonumber(redis.call('TIME')[1])
local added = 0
for i = 2, #ARGV do
  added = redis.pcall('ZADD', KEYS[1], now + ARGV[1], ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if type(added) == 'table' then return added end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1`
};

/**
 * Reads the application's state. It is in two fields of the session's record, so that it ends with the record.
 * KEYS: session, record.
 * Returns nothing if the session is missing, else the version, '0' before the first write, and the value if there is one.
 * Redis cuts a list at its first nil, so for a removed state only its version is returned.
 * Atomic so that a session that ends meanwhile does not look like one without a state.
 */
const GET_STATE: Script = {
  name: 'anypodGetState',
  numberOfKeys: 2,
  lua: `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return {} end
local kept = redis.call('HMGET', KEYS[2], 'stateVersion', 'state')
if not kept[1] then return {'0'} end
if not kept[2] then return {kept[1]} end
return kept`
};

/**
 * Replaces or removes the state. The session's revision stays: the record that other pods hold is still current.
 * KEYS: session, record. ARGV: the required version or '', then the value, if any.
 * Returns 1, 0 if the state has another version, -1 if the session is missing.
 * Atomic because another write, or the end of the session, may come between reading and writing.
 */
const PUT_STATE: Script = {
  name: 'anypodPutState',
  numberOfKeys: 2,
  lua: `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return -1 end
local version = redis.call('HGET', KEYS[2], 'stateVersion') or '0'
if ARGV[1] ~= '' and ARGV[1] ~= version then return 0 end
if ARGV[2] then
  redis.call('HSET', KEYS[2], 'state', ARGV[2])
else
  redis.call('HDEL', KEYS[2], 'state')
end
redis.call('HINCRBY', KEYS[2], 'stateVersion', 1)
return 1`
};

/**
 * Reads only the fields of a session that show who may use it.
 * KEYS: session, record.
 * Returns nothing if the session is missing, or if an eviction policy removed its record, else fields and values.
 * Atomic so that a session that ends meanwhile does not look like one without an owner.
 */
const GET_OWNER: Script = {
  name: 'anypodGetOwner',
  numberOfKeys: 2,
  lua: `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return {} end
local reply = {'t', '0'}
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.find(field, '^[umf]%d*$') then
    table.insert(reply, field)
    table.insert(reply, redis.call('HGET', KEYS[2], field))
  end
end
return reply`
};

export const SESSION_SCRIPTS = {
  create: CREATE_SESSION,
  patch: PATCH_SESSION,
  touchRecord: TOUCH_RECORD,
  delete: DELETE_SESSION,
  index: INDEX_SESSION,
  getOwner: GET_OWNER,
  getState: GET_STATE,
  putState: PUT_STATE
};
