import { withoutCommand } from './redactedErrors.js';
import type { RedisClient, RedisPipeline } from './client.js';
import { setImmediate } from '../../timers.js';

/** A command of the pipeline's, and its arguments. */
export type Command = readonly [name: keyof Omit<RedisPipeline, 'exec'>, ...args: (string | number)[]];

type Add = (this: RedisPipeline, ...args: unknown[]) => RedisPipeline;

interface Question {
  readonly commands: readonly Command[];
  readonly resolve: (results: unknown[]) => void;
  readonly reject: (error: Error) => void;
  isRepeated: boolean;
}

/**
 * Sends commands to Redis. What is asked in one turn of the event loop goes in one write, and comes back in one read,
 * however the client is set up: it costs both sides less by far.
 */
export class Trips {
  readonly #redis: RedisClient;
  #waiting: Question[] = [];

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /**
   * @param commands - their keys share a slot, and they may run twice
   * @returns the result of each; rejects where one of them has failed
   */
  ask(...commands: Command[]): Promise<unknown[]> {
    return new Promise((resolve, reject) => {
      this.#put({ commands, resolve, reject, isRepeated: false });
    });
  }

  #put(question: Question): void {
    // Of a Cluster each node has a connection of its own.
    if (this.#redis.isCluster) this.#send([question]);
    else if (this.#waiting.push(question) === 1) setImmediate(() => this.#sendWaiting());
  }

  #sendWaiting(): void {
    const questions = this.#waiting;
    this.#waiting = [];
    this.#send(questions);
  }

  #send(questions: Question[]): void {
    const fail = (error: Error): void => questions.forEach(({ reject }) => reject(withoutCommand(error)));
    try {
      const pipeline = this.#redis.pipeline();
      for (const { commands } of questions) {
        for (const [name, ...args] of commands) (pipeline[name] as Add).apply(pipeline, args);
      }
      pipeline.exec().then(results => {
        let first = 0;
        for (const question of questions) {
          this.#settle(question, results?.slice(first, (first += question.commands.length)) ?? []);
        }
      }, fail);
    } catch (error) {
      fail(error as Error);
    }
  }

  #settle(question: Question, answers: [error: Error | null, result: unknown][]): void {
    const { commands, resolve, reject } = question;
    const results: unknown[] = [];
    for (const [error, result] of answers) {
      if (error && isAborted(error) && !question.isRepeated) {
        question.isRepeated = true;
        return this.#put(question);
      }
      if (error) return reject(withoutCommand(error));
      results.push(result);
    }
    if (results.length < commands.length) return reject(new Error('Redis gave no result'));
    resolve(results);
  }
}

/**
 * When a connection breaks, ioredis sends single commands again on the next one, but not what is left of a pipeline that
 * was answered in part.
 */
function isAborted(error: Error): boolean {
  return error.name === 'AbortError';
}
