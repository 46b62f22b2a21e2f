import type { Script } from './database.js';

/**
 * Appends an event to a stream's log only once, although a client library sends a command again if the connection breaks
 * before the reply. At most a few events of other pods arrive between the two attempts. Reading an entry reads its
 * message, which may be large. So the caller passes the id of an earlier entry: usually nothing follows it.
 * KEYS: events. ARGV: events to keep, seconds to live, the message, a name for this call, the start of the range in
 * which this call may have written (as in XRANGE).
 * Returns the id of the entry.
 * Atomic so that a log always has a time to live, and no event is stored twice.
 * Redis reserves 4 KiB for the first entries of a stream; a copy takes only what it needs. The copy's name has the slot of
 * the key. If braces in the key prevent such a name, the stream is not copied.
 */
export const APPEND_EVENT: Script = {
  name: 'anypodAppendEvent',
  numberOfKeys: 1,
  lua: `
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', ARGV[5], 'COUNT', 8)) do
  if entry[2][4] == ARGV[4] then return entry[1] end
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'message', ARGV[3], 'call', ARGV[4])
if redis.call('XLEN', KEYS[1]) == 1 then
  local tag = string.match(KEYS[1], '{(.-)}')
  local copy
  if tag and tag ~= '' then
    copy = KEYS[1] .. ':copy'
  elseif not string.find(KEYS[1], '[{}]') then
    copy = KEYS[1] .. ':{' .. KEYS[1] .. '}'
  end
  if copy and redis.pcall('COPY', KEYS[1], copy, 'REPLACE') == 1 then redis.call('RENAME', copy, KEYS[1]) end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return id`
};
