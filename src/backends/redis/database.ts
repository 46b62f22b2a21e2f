import { withDeadline } from '../../deadline.js';
import { BackendUnavailableError } from '../../errors.js';
import { redisClient } from './anyClient.js';
import { CommandBatcher, type PipelineClient, type PipelineCommand } from './commandBatcher.js';
import type { ScriptDefiner } from './client.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { redacted } from './redactedErrors.js';

/** A Lua script. All its keys share a slot. */
export interface Script {
  /** The name of the client's method for it. */
  readonly name: `anypod${string}`;
  readonly numberOfKeys: number;
  readonly lua: string;
}

type Argument = string | number;
type Method = (...args: Argument[]) => Promise<unknown>;

/** Commands that only read, which a client with `scaleReads` sends to replicas. */
const READS: ReadonlySet<string> = new Set([
  'exists',
  'get',
  'hgetall',
  'hmget',
  'pttl',
  'xrange',
  'xrevrange',
  'zrange',
  'zscan'
]);

/**
 * Runs a command that reads.
 * KEYS: its key. ARGV: its name, its other arguments.
 * Returns the command's reply.
 * A script because a client sends scripts to masters, whatever it does with commands that read.
 */
const READ: Script = {
  name: 'anypodRead',
  numberOfKeys: 1,
  lua: `return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))`
};

/**
 * The one place through which every call to Redis passes. It sends reads to masters, limits how long a call takes if its
 * caller does not, and removes from errors what does not belong in a log. Replies are read with replies.ts.
 */
export class Database<C extends object = object> {
  /** In the shape of ioredis. */
  readonly client: C;
  readonly #batcher: CommandBatcher;
  readonly #readsByScript: boolean;
  readonly #timeoutMs: number | undefined;

  /**
   * @param methods - what is needed of an ioredis client
   * @param timeoutMs - milliseconds that a call may take; undefined if each caller has a deadline of its own
   * @throws InvalidOptionError
   */
  constructor(
    client: C | NodeRedisClient,
    methods: readonly string[],
    { scripts = [], timeoutMs }: { scripts?: readonly Script[]; timeoutMs?: number } = {}
  ) {
    this.client = redisClient(client, methods);
    this.#batcher = new CommandBatcher(this.client as unknown as PipelineClient);
    this.#readsByScript = mayReadFromReplicas(this.client);
    this.#timeoutMs = timeoutMs;
    for (const script of this.#readsByScript ? [...scripts, READ] : scripts) this.#define(script);
  }

  /** Sends one command, whose first argument is its one key. */
  command(name: string, key: string, ...args: Argument[]): Promise<unknown> {
    if (this.#readsByScript && READS.has(name)) return this.script(READ, [key], name, ...args);
    return this.#call(name, [key, ...args]);
  }

  script({ name }: Script, keys: readonly string[], ...args: Argument[]): Promise<unknown> {
    return this.#call(name, [...keys, ...args]);
  }

  /**
   * Sends commands together with those of others in the same turn of the event loop.
   * @param commands - their keys share a slot, and they may run twice
   * @returns the reply to each; rejects if one of them fails
   */
  batch(...commands: PipelineCommand[]): Promise<unknown[]> {
    const asOne = !this.#readsByScript || commands.some(([name]) => name === 'wait');
    if (asOne) return this.#inTime(() => this.#batcher.send(commands));
    // A pipeline that begins with a command that reads would go to a replica.
    return Promise.all(commands.map(([name, ...args]) => this.command(name, ...(args as [string, ...Argument[]]))));
  }

  async #call(name: string, args: Argument[]): Promise<unknown> {
    const client = this.client as unknown as Record<string, Method>;
    const call = (): Promise<unknown> => (client[name] as Method).apply(client, args);
    try {
      // What a late reply takes out of a list would be lost.
      return await (name === 'lpop' ? call() : this.#inTime(call));
    } catch (error) {
      throw redacted(error);
    }
  }

  #inTime<T>(call: () => Promise<T>): Promise<T> {
    const timeoutMs = this.#timeoutMs;
    if (timeoutMs === undefined) return call();
    const onLate = (): Error => new BackendUnavailableError(`Redis did not answer within ${timeoutMs} ms`);
    return withDeadline(call, timeoutMs, onLate);
  }

  /** The client sends the script's digest, and its text if a server does not know it yet. */
  #define({ name, numberOfKeys, lua }: Script): void {
    const client = this.client as ScriptDefiner & Record<string, unknown>;
    client.defineCommand(name, { numberOfKeys, lua });
  }
}

/** Whether an ioredis client of a Cluster sends commands that read to replicas, which may lag behind or stand still. */
function mayReadFromReplicas(client: object): boolean {
  const { isCluster, options } = client as { isCluster?: boolean; options?: { scaleReads?: unknown } };
  return isCluster === true && (options?.scaleReads ?? 'master') !== 'master';
}
