import type { Script } from './database.js';

/*
 * The Lua scripts of the locks. A lock is a key that expires in Redis. A token that waits for it has a place in a queue,
 * a sorted set in the order of arrival. Its lease for the place is in another sorted set, by the time at which the lease
 * ends on Redis' clock. All three share the slot of the session. The two sets live as long as the last lease in them.
 */

/**
 * Takes the lock, extends its lease, or takes or keeps a place in the queue.
 * KEYS: lock, queue, places. ARGV: token, milliseconds of the lease.
 * Returns 1 if the token holds the lock now, else 0.
 * Atomic because the lock may become free, and others may request it, between reading and taking it.
 * A waiter's lease may be longer than that of a later waiter, so the sets' times to live only grow.
 */
const ACQUIRE: Script = {
  name: 'anypodAcquireLock',
  numberOfKeys: 3,
  lua: `
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, token in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do
  redis.call('ZREM', KEYS[2], token)
  redis.call('ZREM', KEYS[3], token)
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if not holder and (not first or first == ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  return 1
end
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', KEYS[2], (last or 0) + 1, ARGV[1])
end
redis.call('ZADD', KEYS[3], now + ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ARGV[2])
end
return 0`
};

/**
 * Extends the lease of the lock.
 * KEYS: lock. ARGV: token, milliseconds of the lease.
 * Returns 1, or 0 if the token does not hold the lock.
 * Atomic because the lease may end, and another may begin, between reading and extending it.
 */
const RENEW: Script = {
  name: 'anypodRenewLock',
  numberOfKeys: 1,
  lua: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`
};

/**
 * Releases the lock, or the place in the queue.
 * KEYS: lock, queue, places. ARGV: token.
 * Returns 1 if the token held the lock, else 0.
 * Atomic because another token may take the lock between reading and removing it.
 */
const RELEASE: Script = {
  name: 'anypodReleaseLock',
  numberOfKeys: 3,
  lua: `
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`
};

export const LOCK_SCRIPTS = { acquire: ACQUIRE, renew: RENEW, release: RELEASE };
