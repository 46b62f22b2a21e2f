import type { Script } from './database.js';

/**
 * Publishes to every node of a Cluster.
 * KEYS: a key that selects the node to publish on. ARGV: channel, message.
 * A script because a client sends PUBLISH, which has no key, to any node: messages could then arrive out of order.
 */
export const PUBLISH: Script = {
  name: 'anypodPublish',
  numberOfKeys: 1,
  lua: `return redis.call('PUBLISH', ARGV[1], ARGV[2])`
};
