import type { RedisClient } from './client.js';

type Client = Pick<RedisClient, 'defineCommand'>;

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

export function withStateScripts<C extends Client>(client: C): C & ScriptedStateClient {
  client.defineCommand('anypodGetState', { numberOfKeys: 2, lua: GET_STATE });
  client.defineCommand('anypodPutState', { numberOfKeys: 2, lua: PUT_STATE });
  return client as C & ScriptedStateClient;
}
