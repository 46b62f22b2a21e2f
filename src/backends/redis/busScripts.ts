import type { RedisBusClient } from './client.js';

/**
 * Publishes to every node of a Cluster.
 * KEYS: names the node to publish on. ARGV: channel, message.
 * A script because a client sends PUBLISH, which has no key, to any node: then messages overtake each other.
 */
const PUBLISH = `return redis.call('PUBLISH', ARGV[1], ARGV[2])`;

export interface ScriptedBusClient {
  anypodPublish(key: string, channel: string, message: string): Promise<unknown>;
}

export function withBusScripts(client: RedisBusClient): ScriptedBusClient {
  client.defineCommand('anypodPublish', { numberOfKeys: 1, lua: PUBLISH });
  return client as unknown as ScriptedBusClient;
}
