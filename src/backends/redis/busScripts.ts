import type { Script } from './database.js';

/**
 * Publishes to every node of a Cluster.
 * KEYS: names the node to publish on. ARGV: channel, message.
 * A script because a client sends PUBLISH, which has no key, to any node: then messages overtake each other.
 */
export const PUBLISH: Script = {
  name: 'anypodPublish',
  numberOfKeys: 1,
  lua: `return redis.call('PUBLISH', ARGV[1], ARGV[2])`
};
