import { withDeadline } from '../../deadline.js';
import { BackendUnavailableError } from '../../errors.js';
import { redisClient } from './anyClient.js';
import { batcherOf, type CommandBatcher, type PipelineClient, type PipelineCommand } from './commandBatcher.js';
import type { ScriptDefiner } from './client.js';
import { watchConnection } from './connectionErrors.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { redacted } from './redactedErrors.js';
import { callAutoPipelining, isAutoPipelining } from './unservedSlots.js';

/** A Lua script. All its keys share a slot. */
export interface Script {
  /** The name of the client's method for it. */
  readonly name: `anypod${string}`;
  readonly numberOfKeys: number;
  readonly lua: string;
}

type Argument = string | number;
type Method = (...args: Argument[]) => Promise<unknown>;

/** Commands that only read. A client with `scaleReads` sends them to replicas. */
const READS: ReadonlySet<string> = new Set([
  'exists',
  'get',
  'hgetall',
  'hmget',
  'pttl',
  'xlen',
  'xrange',
  'xrevrange',
  'zrange',
  'zscan'
]);

/**
 * Runs a command that reads.
 * KEYS: its key. ARGV: its name, its other arguments.
 * Returns the command's reply.
 * A script because a client always sends scripts to masters, even if it sends reads to replicas.
 */
const READ: Script = {
  name: 'anypodRead',
  numberOfKeys: 1,
  lua: `return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))`
};

/**
 * Every call to Redis goes through this class. It sends reads to masters, limits the time of a call if its caller does
 * not, and removes commands and their arguments from errors. Replies are read with replies.ts.
 */
export class Database<C extends object = object> {
  /** With the API of ioredis. */
  readonly client: C;
  /** The client of the application: another object if it is adapted. */
  readonly source: object;
  readonly #batcher: CommandBatcher;
  readonly #readsByScript: boolean;
  readonly #call: (name: string, args: Argument[]) => Promise<unknown>;
  readonly #timeoutMs: number | undefined;

  /**
   * @param methods - the methods of an ioredis client that are needed
   * @param timeoutMs - milliseconds that a call may take; undefined if each caller has its own deadline
   * @throws InvalidOptionError
   */
  constructor(
    client: C | NodeRedisClient,
    methods: readonly string[],
    { scripts = [], timeoutMs }: { scripts?: readonly Script[]; timeoutMs?: number } = {}
  ) {
    this.client = redisClient(client, methods);
    this.source = client;
    watchConnection(client);
    this.#batcher = batcherOf(this.client as unknown as PipelineClient);
    this.#readsByScript = mayReadFromReplicas(this.client);
    this.#call = callerOf(this.client);
    this.#timeoutMs = timeoutMs;
    for (const script of this.#readsByScript ? [...scripts, READ] : scripts) this.#define(script);
  }

  /** Sends one command. Its first argument is its only key. */
  command(name: string, key: string, ...args: Argument[]): Promise<unknown> {
    if (this.#readsByScript && READS.has(name)) return this.script(READ, [key], name, ...args);
    return this.#send(name, [key, ...args]);
  }

  script({ name }: Script, keys: readonly string[], ...args: Argument[]): Promise<unknown> {
    return this.#send(name, [...keys, ...args]);
  }

  /**
   * Sends commands together with those of other callers in the same turn of the event loop.
   * @param commands - their keys share a slot, and they may run twice
   * @returns the reply to each; rejects if one of them fails
   */
  batch(...commands: PipelineCommand[]): Promise<unknown[]> {
    const asOne = !this.#readsByScript || commands.some(([name]) => name === 'wait');
    if (asOne) return this.#inTime(() => this.#batcher.send(commands));
    // A pipeline whose first command is a read would go to a replica.
    return Promise.all(commands.map(([name, ...args]) => this.command(name, ...(args as [string, ...Argument[]]))));
  }

  async #send(name: string, args: Argument[]): Promise<unknown> {
    try {
      // No time limit for LPOP: elements in a late reply would be lost.
      return await (name === 'lpop' ? this.#call(name, args) : this.#inTime(() => this.#call(name, args)));
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

  /** The client sends the script's digest, or its text if the server does not know it yet. */
  #define({ name, numberOfKeys, lua }: Script): void {
    const client = this.client as ScriptDefiner & Record<string, unknown>;
    client.defineCommand(name, { numberOfKeys, lua });
  }
}

/** Whether an ioredis client of a Cluster sends reads to replicas, whose data may be out of date. */
function mayReadFromReplicas(client: object): boolean {
  const { isCluster, options } = client as { isCluster?: boolean; options?: { scaleReads?: unknown } };
  return isCluster === true && (options?.scaleReads ?? 'master') !== 'master';
}

/** Calls a method of a client, however the client must be called. */
function callerOf(client: object): (name: string, args: Argument[]) => Promise<unknown> {
  if (isAutoPipelining(client)) return (name, args) => callAutoPipelining(client, name, args);
  return (name, args) => ((client as Record<string, unknown>)[name] as Method).apply(client, args);
}
