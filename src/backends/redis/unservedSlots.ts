/** The number of slots of every Redis Cluster. */
const SLOTS = 16_384;

/** An ioredis client of a Cluster with `enableAutoPipelining`. */
export interface AutoPipelining {
  /** The nodes of each slot. Empty before the client is connected, with holes where no node serves a slot. */
  readonly slots: unknown[];
  pipeline(): object;
}

type Method = (...args: unknown[]) => unknown;
type Methods = Record<string, Method>;

export function isAutoPipelining(client: object): client is AutoPipelining {
  const { isCluster, options, slots } = client as {
    isCluster?: boolean;
    options?: { enableAutoPipelining?: unknown };
    slots?: unknown;
  };
  return isCluster === true && options?.enableAutoPipelining === true && Array.isArray(slots);
}

/**
 * Runs a command of a client that pipelines by itself. Such a client throws for a slot that no node serves, and never
 * learns that it is served again. If it is not connected yet, it throws later, where that ends the process. A pipeline
 * has neither problem: it waits for the connection, and goes to some node, which answers with the node of the slot.
 */
export async function callAutoPipelining(client: AutoPipelining, name: string, args: unknown[]): Promise<unknown> {
  if (client.slots.length > 0) {
    let sent: unknown;
    try {
      sent = (client as unknown as Methods)[name]?.(...args);
    } catch {
      // Nothing was sent.
    }
    if (sent !== undefined) return sent;
  }
  const pipeline = client.pipeline() as Methods & { exec(): Promise<[Error | null, unknown][] | null> };
  pipeline[name]?.(...args);
  const [error, result] = (await pipeline.exec())?.[0] ?? [new Error('Redis gave no result')];
  if (error) throw error;
  return result;
}

/**
 * ioredis looks for the first node of each slot when it opens sharded subscriptions, and throws if a slot has none: then
 * no channel of any slot can be subscribed to, and the process ends if a subscription was waiting for the connection. With
 * an empty list instead, only the subscriptions of that slot fail.
 */
export function withoutHoles<T extends object>(cluster: T): T {
  const { slots } = cluster as { slots?: unknown };
  if (Array.isArray(slots) && slots.length === 0) slots.push(...Array.from({ length: SLOTS }, () => []));
  return cluster;
}

/** A node-redis client of a Cluster. */
export interface NodeRedisCluster {
  sendCommand(key: string | undefined, isReadonly: boolean, args: string[], options: object): Promise<unknown>;
}

/**
 * node-redis throws a TypeError for a slot that no node serves, and never learns that it is served again. A command whose
 * key is not named goes to some node: either that one refuses it, or the library learns the slots from its answer.
 * @returns whether a second attempt makes sense
 * @throws the refusal
 */
export async function learnsSlotOf(key: string, error: unknown, cluster: NodeRedisCluster): Promise<boolean> {
  if ((error as Error).name !== 'TypeError') return false;
  await cluster.sendCommand(undefined, false, ['PTTL', key], {});
  return true;
}
