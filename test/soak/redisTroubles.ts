import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { RedisServer } from '../support/servers/redisServer.js';
import { startTcpProxy, type TcpProxy, type Way } from '../support/servers/tcpProxy.js';
import type { Random } from './random.js';

const WAYS: readonly Way[] = ['both', 'fromClients', 'fromServer'];
/** Longer than `storeTimeoutMs`, so that what waits for Redis gives up. */
const SILENCE_MS = 3000;

/** The network between the pods and Redis, and Redis itself, in trouble at random; what happened is counted. */
export class RedisTroubles {
  readonly counts: Record<string, number> = {};
  readonly #proxy: TcpProxy;
  readonly #admin: Redis;
  readonly #random: Random;
  /** Each kind comes once before any comes again. */
  #left: (() => Promise<void>)[] = [];

  private constructor(proxy: TcpProxy, admin: Redis, random: Random) {
    this.#proxy = proxy;
    this.#admin = admin;
    this.#random = random;
  }

  static async start(redis: RedisServer, random: Random): Promise<RedisTroubles> {
    return new RedisTroubles(await startTcpProxy(redis.port), new Redis(redis.url), random);
  }

  /** What the pods connect to. */
  get url(): string {
    return `redis://127.0.0.1:${this.#proxy.port}`;
  }

  /** One trouble after the other, with time to recover between them, until `signal` aborts. */
  async run(pauseMs: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      await delay(this.#random.between(pauseMs / 2, pauseMs), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      if (this.#left.length === 0) this.#left = this.#kinds();
      await this.#left.splice(this.#random.below(this.#left.length), 1)[0]!();
    }
  }

  async stop(): Promise<void> {
    this.#admin.disconnect();
    await this.#proxy.stop();
  }

  #kinds(): (() => Promise<void>)[] {
    const ofEachWay = WAYS.flatMap(way => [() => this.#dieSilently(way), () => this.#standStill(way)]);
    return [
      ...ofEachWay,
      () => this.#cut(),
      () => this.#slow(),
      () => this.#killSubscribers(),
      () => this.#flushScripts()
    ];
  }

  /** The connections that are open never carry a byte again. */
  async #dieSilently(way: Way): Promise<void> {
    this.#count(`dead connections, ${way}`);
    this.#proxy.blackhole(way);
    await delay(SILENCE_MS);
  }

  /** No bytes for a while; then all of them come. */
  async #standStill(way: Way): Promise<void> {
    this.#count(`network held, ${way}`);
    this.#proxy.hold(way);
    await delay(SILENCE_MS);
    this.#proxy.restore();
  }

  async #cut(): Promise<void> {
    this.#count('cut');
    this.#proxy.cut();
    await delay(500);
    this.#proxy.restore();
  }

  async #slow(): Promise<void> {
    this.#count('slow');
    this.#proxy.delay(200);
    await delay(SILENCE_MS);
    this.#proxy.delay(0);
  }

  async #killSubscribers(): Promise<void> {
    this.#count('subscribers killed');
    await this.#admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  }

  async #flushScripts(): Promise<void> {
    this.#count('scripts flushed');
    await this.#admin.script('FLUSH');
  }

  #count(kind: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }
}
