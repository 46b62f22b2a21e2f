import type { OnLog } from '../../log.js';
import { checkFunction, checkNumber, checkOptionsObject, checkString } from '../../validate.js';
import type { RedisClient } from './client.js';
import type { NodeRedisClient } from './nodeRedis.js';

/** Options of a `RedisSessionStore`. */
export interface RedisSessionStoreOptions {
  /**
   * A client of ioredis, iovalkey or node-redis: single, Cluster or Sentinel. You configure it, and close it after all
   * users of the store.
   */
  redis: RedisClient | NodeRedisClient;
  /** The prefix of every key. @default 'mcp:session:' */
  keyPrefix?: string;
  /** Seconds that a session lives without activity. @default 3600 */
  ttlSeconds?: number;
  /**
   * Number of replicas that must have a deletion before it is confirmed (`WAIT`). A DELETE or `revokeSessions` then
   * survives a failover to one of them. If fewer have it within half a second, the DELETE is answered 503, although the
   * master has deleted the session. Later commands on the same connection also wait that long.
   * @default 0
   */
  deleteReplicas?: number;
  /** Called with the events of sessions, for logs and metrics. They contain no session ids. @default nothing */
  onLog?: OnLog;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof RedisSessionStoreOptions, true>> = {
  redis: true,
  keyPrefix: true,
  ttlSeconds: true,
  deleteReplicas: true,
  onLog: true
};

/** Checks all options except the client. @throws InvalidOptionError */
export function checkSessionStoreOptions(options: RedisSessionStoreOptions): void {
  checkOptionsObject('options', options, OPTION_NAMES);
  checkString('keyPrefix', options.keyPrefix);
  checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: 1_000_000_000, integer: true });
  checkNumber('deleteReplicas', options.deleteReplicas, { min: 0, max: 100, integer: true });
  checkFunction('onLog', options.onLog);
}
