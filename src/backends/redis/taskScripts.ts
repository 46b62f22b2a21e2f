import type { Script } from './database.js';

/*
 * The Lua scripts of tasks. All keys of a script belong to one session and so to one slot. Times are those of Redis' own
 * clock, because the clocks of pods differ. In a script that adds data, the write that a full Redis refuses comes first.
 */

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/** Keeps the task for `ms` milliseconds from now, and its lists at least as long. KEYS: task, index, expiries. */
const LIVE = `${NOW}
local function live(taskId, ms)
  redis.call('PEXPIREAT', KEYS[1], now + ms)
  redis.call('ZADD', KEYS[3], now + ms, taskId)
  for key = 2, 3 do
    if redis.call('PTTL', KEYS[key]) < ms then redis.call('PEXPIREAT', KEYS[key], now + ms) end
  end
end`;

/** Removes expired tasks from the index. */
const PRUNE = (index: number, expiries: number): string => `
for _, taskId in ipairs(redis.call('ZRANGEBYSCORE', KEYS[${expiries}], '-inf', now)) do
  redis.call('ZREM', KEYS[${index}], taskId)
end
redis.call('ZREMRANGEBYSCORE', KEYS[${expiries}], '-inf', now)`;

/**
 * Creates a task at the end of its session's list.
 * KEYS: task, index, expiries. ARGV: task id, milliseconds to live, then fields and values.
 * Returns 1.
 * Atomic so that every task has a time to live and is on the list, and no two tasks have the same place.
 */
export const CREATE_TASK: Script = {
  name: 'anypodCreateTask',
  numberOfKeys: 3,
  lua: `${LIVE}
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
redis.call('ZADD', KEYS[2], (last[2] or 0) + 1, ARGV[1])
live(ARGV[1], tonumber(ARGV[2]))${PRUNE(2, 3)}
return 1`
};

/**
 * Changes a task that exists and has not ended. The time to live restarts if this change ends the task, and with every
 * change of a task without limit.
 * KEYS: task, index, expiries. ARGV: task id, then fields and values.
 * Returns '', or the status of a task that has ended, or nil if the task is missing.
 * Atomic because only one of two callers may end a task, and a task that expired meanwhile must not be created again.
 */
export const UPDATE_TASK: Script = {
  name: 'anypodUpdateTask',
  numberOfKeys: 3,
  lua: `${LIVE}
local status, ended = unpack(redis.call('HMGET', KEYS[1], 'status', 'ended'))
if not status then return false end
if ended then return status end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
local lifetime, unlimited, ends = unpack(redis.call('HMGET', KEYS[1], 'lifetimeMs', 'unlimited', 'ended'))
if unlimited or ends then live(ARGV[1], tonumber(lifetime)) end
return ''`
};

/**
 * Reads ids from a session's list, in the order of creation.
 * KEYS: index, expiries. ARGV: the task id to begin after, or '', largest number of ids.
 * Returns the ids, or nil if the task to begin after is not on the list.
 * Atomic so that the place of the task does not change before the list is read.
 */
export const LIST_TASKS: Script = {
  name: 'anypodListTasks',
  numberOfKeys: 2,
  lua: `${NOW}${PRUNE(1, 2)}
local first = 0
if ARGV[1] ~= '' then
  local rank = redis.call('ZRANK', KEYS[1], ARGV[1])
  if not rank then return false end
  first = rank + 1
end
return redis.call('ZRANGE', KEYS[1], first, first + ARGV[2] - 1)`
};

/**
 * Adds a message to the end of a queue.
 * KEYS: queue. ARGV: the message, milliseconds to live, largest number of messages or -1.
 * Returns -1, or the number of messages if the queue is full.
 * Atomic because two callers may see room for one message, and every queue must have a time to live.
 */
export const ENQUEUE: Script = {
  name: 'anypodEnqueue',
  numberOfKeys: 1,
  lua: `
local length = redis.call('LLEN', KEYS[1])
if ARGV[3] ~= '-1' and length >= tonumber(ARGV[3]) then return length end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return -1`
};
