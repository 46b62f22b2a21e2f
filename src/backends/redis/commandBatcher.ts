import { redacted } from './redactedErrors.js';
import type { RedisEventPipeline, RedisPipeline, RedisTaskPipeline } from './client.js';
import { setImmediate } from '../../timers.js';

type Pipeline = Omit<RedisPipeline & RedisEventPipeline & RedisTaskPipeline, 'exec'>;

/** A command of the pipeline, and its arguments. */
export type PipelineCommand = readonly [name: keyof Pipeline, ...args: (string | number)[]];

/** The part of a client that the batcher uses. */
export interface PipelineClient {
  readonly isCluster?: boolean;
  pipeline(): RedisPipeline;
}

type Add = (this: unknown, ...args: unknown[]) => unknown;

interface Batch {
  readonly commands: readonly PipelineCommand[];
  readonly resolve: (results: unknown[]) => void;
  readonly reject: (error: Error) => void;
  isRepeated: boolean;
}

/** By client. */
const batchers = new WeakMap<object, CommandBatcher>();

/** The batcher of a client: the session store and the event store of a pod send their commands in one write. */
export function batcherOf(redis: PipelineClient): CommandBatcher {
  let batcher = batchers.get(redis);
  if (!batcher) batchers.set(redis, (batcher = new CommandBatcher(redis)));
  return batcher;
}

/**
 * Sends the commands of one turn of the event loop in one write, and reads their replies in one read, whatever the
 * client's options are. One write costs both sides far less than a write for each command.
 */
export class CommandBatcher {
  readonly #redis: PipelineClient;
  #waiting: Batch[] = [];

  constructor(redis: PipelineClient) {
    this.#redis = redis;
  }

  /**
   * @param commands - their keys share a slot, and they may run twice
   * @returns the reply to each; rejects if one of them fails
   */
  send(commands: readonly PipelineCommand[]): Promise<unknown[]> {
    return new Promise((resolve, reject) => {
      this.#put({ commands, resolve, reject, isRepeated: false });
    });
  }

  #put(batch: Batch): void {
    // Each node of a Cluster has its own connection.
    if (this.#redis.isCluster) this.#sendAll([batch]);
    else if (this.#waiting.push(batch) === 1) setImmediate(() => this.#sendWaiting());
  }

  #sendWaiting(): void {
    const batches = this.#waiting;
    this.#waiting = [];
    this.#sendAll(batches);
  }

  #sendAll(batches: Batch[]): void {
    const fail = (error: unknown): void => batches.forEach(({ reject }) => reject(redacted(error)));
    try {
      const pipeline = this.#redis.pipeline();
      for (const { commands } of batches) {
        for (const [name, ...args] of commands) ((pipeline as unknown as Pipeline)[name] as Add).apply(pipeline, args);
      }
      pipeline.exec().then(results => {
        let first = 0;
        for (const batch of batches) {
          this.#settle(batch, results?.slice(first, (first += batch.commands.length)) ?? []);
        }
      }, fail);
    } catch (error) {
      fail(error);
    }
  }

  #settle(batch: Batch, replies: [error: Error | null, result: unknown][]): void {
    const { commands, resolve, reject } = batch;
    const results: unknown[] = [];
    for (const [error, result] of replies) {
      if (error && isAborted(error) && !batch.isRepeated) {
        batch.isRepeated = true;
        return this.#put(batch);
      }
      if (error) return reject(redacted(error));
      results.push(result);
    }
    if (results.length < commands.length) return reject(new Error('Redis gave no result'));
    resolve(results);
  }
}

/**
 * When a connection breaks, ioredis sends single commands again on the next one. It does not send the rest of a pipeline
 * again if some of its commands were answered.
 */
function isAborted(error: Error): boolean {
  return error.name === 'AbortError';
}
