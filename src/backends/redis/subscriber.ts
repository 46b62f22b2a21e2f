import { unref, withDeadline } from '../../deadline.js';
import type { OnLog } from '../../log.js';
import type { RedisSubscriber } from './client.js';
import { redacted } from './redactedErrors.js';
import { clearTimeout, setTimeout } from '../../timers.js';

/** The time between two heartbeats, in milliseconds. */
const BEAT_MS = 5000;
/** Milliseconds that a connection may leave a heartbeat unanswered before it is replaced. */
const SILENCE_MS = 3000;
/** The limit doubles up to this while no heartbeat is answered, because a server may be slow to accept clients. */
const MAX_SILENCE_MS = 30_000;
/** Hash tags of evenly spaced slots: a node that serves a sixteenth of a Cluster has one of them. */
const TAGS = [18, 3, 65, 140, 19, 2, 64, 141, 106, 1, 67, 49, 107, 0, 66, 48];
/** A reply of Redis that refuses a command, or a slot that no node serves. Either shows that the connection works. */
const REFUSAL = /^[A-Z]{3,}\b|CLUSTERDOWN|^No sharded subscriber/;

export interface SubscriberOptions {
  /** Opens a connection that subscribes. */
  open: () => RedisSubscriber;
  /** Whether to use the sharded channels of a Cluster. */
  sharded: boolean;
  /** The prefix of the heartbeat channels. */
  prefix: string;
  onMessage: (channel: string, message: string) => void;
  /** Never throws: it is called from listeners of the connection. */
  onLog: OnLog;
}

interface Subscribing {
  promise: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * The connection on which a bus subscribes. It only reads, so it would never notice a peer that disappears without closing
 * it (a node that lost power, a lost NAT entry). So a heartbeat subscribes to a separate channel and waits for the reply.
 * A connection that does not reply is replaced by a new one, with all subscriptions.
 */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #channels = new Set<string>();
  /** By channel, a promise that settles when the subscription is in effect or has failed. */
  readonly #subscribing = new Map<string, Subscribing>();
  #sharded: boolean;
  #connection: RedisSubscriber;
  #beats = 0;
  #silenceMs = SILENCE_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#sharded = options.sharded;
    this.#connection = this.#open();
    if (!this.#connection.isShared) this.#beatLater(BEAT_MS);
  }

  /** Resolves when the subscription is in effect, even if the connection is replaced meanwhile. */
  async subscribe(channel: string): Promise<void> {
    if (!this.#channels.has(channel)) {
      this.#channels.add(channel);
      this.#subscribing.set(channel, deferred());
      this.#send(channel);
    }
    await this.#subscribing.get(channel)?.promise;
  }

  async unsubscribe(channel: string): Promise<void> {
    this.#channels.delete(channel);
    this.#subscribing.delete(channel);
    await this.#onChannel(this.#connection, channel, true);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#channels.clear();
    this.#subscribing.clear();
    this.#connection.disconnect();
  }

  #open(): RedisSubscriber {
    const connection = this.#options.open();
    const onMessage = (channel: string, message: string): void => {
      // A replaced connection may work again: its messages also arrived on the new one, or are late.
      if (connection === this.#connection) this.#options.onMessage(channel, message);
    };
    connection.on('message', onMessage);
    connection.on('smessage', onMessage);
    connection.on('error', (error: Error) => {
      if (connection === this.#connection) this.#log(redacted(error).message);
    });
    return connection;
  }

  /** Subscribes on the current connection. */
  #send(channel: string): void {
    const connection = this.#connection;
    this.#onChannel(connection, channel, false).then(
      () => this.#settle(connection, channel, ({ resolve }) => resolve()),
      (error: Error) => this.#settle(connection, channel, ({ reject }) => reject(error))
    );
  }

  #settle(connection: RedisSubscriber, channel: string, settle: (subscribing: Subscribing) => void): void {
    const subscribing = this.#subscribing.get(channel);
    if (connection !== this.#connection || !subscribing) return;
    this.#subscribing.delete(channel);
    // After a failure the next caller tries again.
    subscribing.promise.catch(() => this.#channels.delete(channel));
    settle(subscribing);
  }

  /** Subscribes or unsubscribes, with a sharded channel if the server supports it. */
  async #onChannel(connection: RedisSubscriber, channel: string, leave: boolean): Promise<void> {
    try {
      if (this.#sharded) {
        try {
          await (leave ? connection.sunsubscribe(channel) : connection.ssubscribe(channel));
          return;
        } catch (error) {
          if (!isUnsharded(error)) throw error;
          this.#sharded = false;
        }
      }
      await (leave ? connection.unsubscribe(channel) : connection.subscribe(channel));
    } catch (error) {
      // ioredis does not ask again by itself which node serves the slot.
      connection.refreshSlotsCache?.();
      throw redacted(error);
    }
  }

  #beatLater(ms: number): void {
    this.#timer = setTimeout(() => void this.#beat(), ms);
    unref(this.#timer);
  }

  async #beat(): Promise<void> {
    const connection = this.#connection;
    try {
      await withDeadline(() => this.#ask(connection), this.#silenceMs);
      this.#silenceMs = SILENCE_MS;
    } catch (error) {
      if (this.#closed) return;
      this.#log(`${redacted(error).message}: it is replaced`);
      this.#silenceMs = Math.min(2 * this.#silenceMs, MAX_SILENCE_MS);
      this.#replace(connection);
    }
    if (!this.#closed) this.#beatLater(BEAT_MS);
  }

  /** Uses two channels in turn, because a client library does not send a subscription that it believes is in effect. */
  async #ask(connection: RedisSubscriber): Promise<void> {
    const turn = this.#beats++ % 2;
    const tags = this.#sharded ? TAGS.map(tag => `{${tag}}`) : [''];
    await Promise.all(
      tags.map(async tag => {
        try {
          await this.#onChannel(connection, `${this.#options.prefix}heartbeat#${turn}${tag}`, false);
          await this.#onChannel(connection, `${this.#options.prefix}heartbeat#${1 - turn}${tag}`, true);
        } catch (error) {
          if (!REFUSAL.test((error as Error).message)) throw error;
        }
      })
    );
  }

  #replace(old: RedisSubscriber): void {
    this.#connection = this.#open();
    for (const channel of this.#channels) this.#send(channel);
    old.disconnect();
  }

  #log(message: string): void {
    this.#options.onLog('warn', `the connection of the bus: ${message}`);
  }
}

/** Whether the error shows a Cluster before Redis 7: it has no sharded channels, and each node forwards all messages. */
export function isUnsharded(error: unknown): boolean {
  return /unknown command/i.test((error as Error).message);
}

function deferred(): Subscribing {
  let resolve = (): void => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // No caller may be waiting when it rejects.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
