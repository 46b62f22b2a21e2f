import { answerOf, isAborted, withoutCommand } from './answers.js';
import type { RedisClient } from './client.js';

/** More in one command would keep Redis from serving other pods for longer than they notice. */
const MAX_KEYS = 128;
/** How long a session waits at most for the answer to others before it is asked for beside them. */
const MAX_WAIT_MS = 1;

/**
 * Refreshes keys and reads them.
 * KEYS: any number of strings. ARGV: seconds to live.
 * Returns the value of each, null where there is none, and an error where Redis gave one.
 * A script, though nothing here must be atomic, because a command costs a client several times as much as it costs Redis:
 * here it is one for many keys.
 */
const TOUCH_ALL = `
local values = {}
for i, key in ipairs(KEYS) do values[i] = redis.pcall('GETEX', key, 'EX', ARGV[1]) end
return values`;

interface TouchingClient extends Pick<RedisClient, 'isCluster' | 'getex'> {
  anypodTouchAll(count: number, ...keysAndSeconds: (string | number)[]): Promise<(string | null | Error)[]>;
}

interface Touch {
  readonly key: string;
  readonly resolve: (value: string | null) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Refreshes what validates a session, and reads it: together with others. What is asked for in one turn of the event loop
 * goes in one command; and what comes while Redis has such a command goes in the next. So the busier a pod is, the less a
 * session costs it, and Redis.
 */
export class Touches {
  readonly #redis: TouchingClient;
  readonly #seconds: number;
  /** Whether keys of several sessions may go together: not where each slot has a node of its own. */
  #together: boolean;
  #waiting: Touch[] = [];
  /** Commands that have not been answered. */
  #underWay = 0;
  #wait: ReturnType<typeof setTimeout> | undefined;

  constructor(redis: RedisClient, seconds: number) {
    redis.defineCommand('anypodTouchAll', { lua: TOUCH_ALL });
    this.#redis = redis as RedisClient & TouchingClient;
    this.#seconds = seconds;
    this.#together = !redis.isCluster;
  }

  /** @returns the value; null where there is none */
  touch(key: string): Promise<string | null> {
    if (!this.#together) return this.#alone(key);
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ key, resolve, reject }) > 1) return;
      if (this.#underWay === 0) setImmediate(() => this.#send());
      else this.#wait = setTimeout(() => this.#send(), MAX_WAIT_MS);
    });
  }

  #send(): void {
    clearTimeout(this.#wait);
    const touches = this.#waiting;
    this.#waiting = [];
    for (let first = 0; first < touches.length; first += MAX_KEYS) {
      this.#sendTogether(touches.slice(first, first + MAX_KEYS));
    }
  }

  #sendTogether(touches: Touch[]): void {
    this.#underWay++;
    const answered = (): void => {
      if (--this.#underWay === 0) this.#send();
    };
    this.#ask(touches).then(
      values => {
        answered();
        touches.forEach(({ resolve, reject }, index) => {
          const value = values[index];
          if (value instanceof Error) reject(value);
          else resolve(value ?? null);
        });
      },
      (error: Error) => {
        answered();
        touches.forEach(({ reject }) => reject(error));
      }
    );
  }

  async #ask(touches: Touch[]): Promise<(string | null | Error)[]> {
    const keys = touches.map(({ key }) => key);
    if (keys.length === 1 || !this.#together) return this.#each(keys);
    try {
      return await repeated(() => this.#redis.anypodTouchAll(keys.length, ...keys, this.#seconds));
    } catch (error) {
      // Behind one connection are several nodes (a proxy, say).
      this.#together = !(error as Error).message.includes('CROSSSLOT');
      if (!this.#together) return this.#each(keys);
      throw withoutCommand(error as Error);
    }
  }

  #each(keys: string[]): Promise<(string | null | Error)[]> {
    return Promise.all(keys.map(key => this.#alone(key).catch((error: Error) => error)));
  }

  #alone(key: string): Promise<string | null> {
    return answerOf(repeated(() => this.#redis.getex(key, 'EX', this.#seconds)));
  }
}

/** Twice, where the connection broke the first time. */
async function repeated<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (isAborted(error as Error)) return ask();
    throw error;
  }
}
