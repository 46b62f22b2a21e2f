import { BackendUnavailableError } from '../../errors.js';
import type {
  RedisBusClient,
  RedisClient,
  RedisEventClient,
  RedisEventPipeline,
  RedisPipeline,
  RedisSubscriber,
  RedisTaskClient,
  RedisTaskPipeline,
  RedisTaskQueueClient
} from './client.js';
import { NodeRedisSubscriber, type NodeRedisPubSub } from './nodeRedisSubscriber.js';
import { learnsSlotOf, type NodeRedisCluster } from './unservedSlots.js';

/** A client of node-redis 5 or 6: what `createClient`, `createCluster` and `createSentinel` return. */
export interface NodeRedisClient {
  /** Whether `connect` has been called. */
  readonly isOpen: boolean;
  /** Sends any command. The kinds of client take different arguments. */
  sendCommand(...args: never[]): Promise<unknown>;
  /** Listens to an event of the client. */
  on(...args: never[]): unknown;
}

type Clients = RedisClient & RedisBusClient & RedisEventClient & RedisTaskClient & RedisTaskQueueClient;
type Pipelines = RedisPipeline & RedisEventPipeline & RedisTaskPipeline;
type Command =
  | Exclude<
      keyof Clients,
      'isCluster' | 'options' | 'publish' | 'spublish' | 'duplicate' | 'pipeline' | 'defineCommand'
    >
  | Exclude<keyof Pipelines, 'exec' | 'wait'>;

/** The commands that this package uses. Their first argument is a key. The compiler requires new ones here. */
const COMMANDS: Record<Command, true> = {
  exists: true,
  expire: true,
  get: true,
  getex: true,
  hgetall: true,
  hmget: true,
  lpop: true,
  mget: true,
  pttl: true,
  set: true,
  unlink: true,
  xlen: true,
  xrange: true,
  xrevrange: true,
  zrange: true,
  zrem: true,
  zscan: true
};

type Argument = string | number | readonly (string | number)[];
/** Sends a command on a connection. The key selects the node. */
type Send = (key: string, args: readonly string[]) => Promise<unknown>;
/** Sends something on a connection. */
type Call = (send: Send) => Promise<unknown>;

/** Replies in their plain form, whatever type mapping the client is configured with. */
const PLAIN = { typeMapping: {} };

interface Script {
  numberOfKeys: number;
  lua: string;
  /** Absent until it is computed. */
  sha?: string;
  hashed: Promise<void>;
}

const adapters = new WeakMap<NodeRedisClient, NodeRedisAdapter>();

/** A client of node-redis with the API of ioredis: always the same object for the same client. */
export function adaptNodeRedis(client: NodeRedisClient): object {
  let adapter = adapters.get(client);
  if (!adapter) adapters.set(client, (adapter = new NodeRedisAdapter(client)));
  return adapter;
}

class NodeRedisAdapter {
  readonly isCluster: boolean;
  /** The number of the database. */
  readonly database: unknown;
  readonly #client: NodeRedisClient;
  readonly #isSentinel: boolean;
  readonly #keyPrefix: string;
  readonly #send: Send;
  readonly #scripts = new Map<string, Script>();

  constructor(client: NodeRedisClient) {
    this.#client = client;
    this.isCluster = 'getSlotMaster' in client;
    this.#isSentinel = 'getSentinelNode' in client;
    const { options } = client as { options?: { database?: unknown } };
    this.database = options?.database;
    // The library adds this prefix in its own methods, but not in `sendCommand`.
    this.#keyPrefix = String((client as { _keyPrefix?: string | Buffer })._keyPrefix ?? '');
    this.#send = this.isCluster ? clusterSend(client) : this.#isSentinel ? sentinelSend(client) : singleSend(client);
    // Failing commands report an outage; without a listener this event would end the process.
    (client as { on(event: string, listener: () => void): unknown }).on('error', () => {});
    for (const name of Object.keys(COMMANDS) as Command[]) {
      this.#define(this, name, (...args) => this.#run(this.#command(name, args)));
    }
  }

  publish(channel: string, message: string): Promise<unknown> {
    return this.#run(send => send(channel, ['PUBLISH', channel, message]));
  }

  spublish(channel: string, message: string): Promise<unknown> {
    return this.#run(send => send(channel, ['SPUBLISH', channel, message]));
  }

  duplicate(): RedisSubscriber {
    this.#checkOpen();
    const client = this.#client as NodeRedisClient & NodeRedisPubSub;
    // A Sentinel client subscribes on a separate connection, which follows the master.
    return new NodeRedisSubscriber(client, this.#isSentinel);
  }

  defineCommand(name: string, { numberOfKeys, lua }: { numberOfKeys: number; lua: string }): void {
    if (this.#scripts.has(name)) return;
    const script: Script = { numberOfKeys, lua, hashed: sha1(lua).then(sha => void (script.sha = sha)) };
    this.#scripts.set(name, script);
    this.#define(this, name, async (...args) => {
      if (script.sha === undefined) await script.hashed;
      return this.#run(this.#script(script, args));
    });
  }

  /** Commands that are sent together. Each gets its own result. */
  pipeline(): object {
    const calls: Call[] = [];
    const pipeline = {
      exec: async (): Promise<[error: Error | null, result: unknown][]> => {
        await Promise.all([...this.#scripts.values()].map(({ hashed }) => hashed));
        const settled = await this.#inOneTrip(calls);
        return settled.map(each =>
          each.status === 'fulfilled' ? [null, each.value] : [each.reason as Error, undefined]
        );
      }
    };
    const add = (name: string, call: (args: Argument[]) => Call): void =>
      this.#define(pipeline, name, (...args) => {
        calls.push(call(args));
        return pipeline;
      });
    let lastKey = '';
    for (const name of Object.keys(COMMANDS) as Command[]) {
      add(name, args => {
        lastKey = this.#keyPrefix + String(args[0]);
        return this.#command(name, args);
      });
    }
    // WAIT has no key: it goes to the node of the command before it.
    add('wait', args => {
      const key = lastKey;
      return send => send(key, ['WAIT', ...args.map(String)]);
    });
    for (const [name, script] of this.#scripts) add(name, args => this.#script(script, args));
    return pipeline;
  }

  #define(target: object, name: string, method: (...args: Argument[]) => unknown): void {
    Object.defineProperty(target, name, { value: method, configurable: true });
  }

  async #run(call: Call): Promise<unknown> {
    this.#checkOpen();
    return call(this.#send);
  }

  async #inOneTrip(calls: Call[]): Promise<PromiseSettledResult<unknown>[]> {
    this.#checkOpen();
    if (!this.#isSentinel) return Promise.allSettled(calls.map(call => call(this.#send)));
    // Sent separately, each command would have to wait for one of few connections.
    const sentinel = this.#client as unknown as {
      use<T>(work: (client: NodeRedisClient) => Promise<T>): Promise<T>;
    };
    return sentinel.use(client => Promise.allSettled(calls.map(call => call(sentinelSend(client)))));
  }

  #command(name: Command, args: Argument[]): Call {
    const [key, ...rest] = args.flat().map(String) as [string, ...string[]];
    const prefixed = this.#keyPrefix + key;
    return send => send(prefixed, [name.toUpperCase(), prefixed, ...rest]);
  }

  #script({ numberOfKeys, lua, sha }: Script, args: Argument[]): Call {
    const words = args.flat().map(String);
    const keys = words.slice(0, numberOfKeys).map(key => this.#keyPrefix + key);
    const rest = [String(numberOfKeys), ...keys, ...words.slice(numberOfKeys)];
    return async send => {
      try {
        return await send(keys[0] as string, ['EVALSHA', sha as string, ...rest]);
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
        return send(keys[0] as string, ['EVAL', lua, ...rest]);
      }
    };
  }

  #checkOpen(): void {
    if (this.#client.isOpen) return;
    throw new BackendUnavailableError(
      'The node-redis client is not connected: await its connect() first, and close it last'
    );
  }
}

function singleSend(client: NodeRedisClient): Send {
  const single = client as unknown as { sendCommand(args: unknown, options: unknown): Promise<unknown> };
  return (_key, args) => single.sendCommand(args, PLAIN);
}

/** Never sends to a replica: it may not have a new session yet. */
function clusterSend(client: NodeRedisClient): Send {
  const cluster = client as unknown as NodeRedisCluster;
  return async (key, args) => {
    const send = (): Promise<unknown> => cluster.sendCommand(key, false, [...args], PLAIN);
    try {
      return await send();
    } catch (error) {
      if (await learnsSlotOf(key, error, cluster)) return send();
      throw error;
    }
  };
}

function sentinelSend(client: NodeRedisClient): Send {
  const sentinel = client as unknown as {
    sendCommand(isReadonly: boolean, args: unknown, options: unknown): Promise<unknown>;
  };
  return (_key, args) => sentinel.sendCommand(false, args, PLAIN);
}

async function sha1(text: string): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest('SHA-1', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('');
}
