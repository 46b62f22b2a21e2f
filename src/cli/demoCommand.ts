import { startBalancer, type Balancer } from './demo/balancer.js';
import { Fleet, podsAsProcesses, podsInThisProcess, type PodStarter } from './demo/fleet.js';
import type { Reporter } from './demo/podReport.js';
import { hasRedisServer, startRedisProcess, type RedisProcess } from './demo/redisProcess.js';
import { type Check, Screen } from './demo/screen.js';
import { Story } from './demo/story.js';
import { startWebServer } from './demo/webServer.js';
import { World } from './demo/webWorld.js';
import { COMMON_HELP, type Command, type Invocation } from './command.js';
import { CommandError, EXIT, UsageError } from './usage.js';

const HELP = `Shows one MCP session on three pods behind a round robin, and what happens to it when pods die.

Usage: npx mcp-sdk-anypod demo [options]

Options:
  --web              a page on 127.0.0.1 that draws it, with buttons to kill, pause, add and roll pods
  --port N           the port of the page (default: any that is free)
  --redis [URL]      pods are processes that share this Redis, or a private redis-server from the PATH
  --in-process       pods are HTTP servers in this process: the default without a redis-server on the PATH
  --compare          plays it with the stock SDK first, and shows both results side by side
  --stock            only the stock SDK, which keeps sessions in one process: shows what fails, and ends with 1
${COMMON_HELP}

It needs no backend and changes none, except a Redis that --redis names. It ends with 0 only if everything was observed
that it claims, and with 130 after Ctrl-C; --web ends with 0 after Ctrl-C.

Examples:
  npx mcp-sdk-anypod demo
  npx mcp-sdk-anypod demo --web --port 8080`;

const INTERRUPTED = 130;

interface Options {
  readonly stock: boolean;
  readonly compare: boolean;
  readonly web: boolean;
  readonly port: number;
  /** Pods are processes. */
  readonly processes: boolean;
  readonly inProcess: boolean;
  readonly redisUrl: string | undefined;
  readonly screen: Screen;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  readonly json: boolean;
}

export const demoCommand: Command = {
  help: HELP,
  options: {
    web: { type: 'boolean' },
    port: { type: 'string' },
    redis: { type: 'boolean' },
    'in-process': { type: 'boolean' },
    compare: { type: 'boolean' },
    stock: { type: 'boolean' }
  },
  async run(invocation) {
    const options = await readOptions(invocation);
    const { signal, web, print } = options;
    // Ctrl-C in a terminal may arrive twice, for example from npm as well. The second must not end the process early.
    const ignore = (): void => {};
    process.on('SIGINT', ignore).on('SIGTERM', ignore);
    try {
      return await (web ? serve(options) : play(options));
    } catch (error) {
      if (!signal.aborted) throw error;
      print('\nInterrupted.');
      return INTERRUPTED;
    } finally {
      process.removeListener('SIGINT', ignore).removeListener('SIGTERM', ignore);
    }
  }
};

/** @throws UsageError, CommandError */
async function readOptions({ values, positionals, paint, print, signal, json }: Invocation): Promise<Options> {
  const { stock = false, compare = false, web = false, redis = false } = values as Record<string, boolean | undefined>;
  const inProcess = values['in-process'] === true;
  const [redisUrl, ...rest] = positionals;
  if (rest.length > 0 || (redisUrl !== undefined && !redis)) throw new UsageError('demo takes no arguments');
  if (redis && inProcess) throw new UsageError('--redis and --in-process exclude each other');
  if (web && (compare || json)) throw new UsageError(`--web and --${compare ? 'compare' : 'json'} exclude each other`);
  if (values.port !== undefined && !web) throw new UsageError('--port belongs to --web');
  const port = Number(values.port ?? 0);
  if (!(Number.isInteger(port) && port >= 0 && port < 65536)) throw new UsageError('--port takes a port number');
  if (redisUrl !== undefined && !/^rediss?:\/\//.test(redisUrl))
    throw new UsageError('--redis takes redis://host:port');
  if (redis && redisUrl === undefined && !stock && !hasRedisServer()) {
    throw new CommandError(
      'there is no redis-server on the PATH: install one, or name a Redis with --redis URL',
      EXIT.unusable
    );
  }
  const processes = redis || (!inProcess && hasRedisServer() && (await hasIoredis()));
  const chosen = { stock, compare, web, port, processes, inProcess, redisUrl };
  return { ...chosen, screen: new Screen(print, paint), print, signal, json };
}

async function hasIoredis(): Promise<boolean> {
  return import('ioredis').then(
    () => true,
    () => false
  );
}

/** @throws if it was interrupted; nothing is left running then either */
async function play(options: Options): Promise<number> {
  const { stock, compare, processes, inProcess, json, print } = options;
  const screen = json ? options.screen.muted() : options.screen;
  let others: readonly Check[] | undefined;
  if (compare && !stock) {
    screen.print('\n   First with the stock SDK ...');
    others = await tell({ ...options, stock: true }, screen.muted());
  }
  const checks = await tell(options, screen);
  screen.summary(checks, others);
  if (!stock && !compare) screen.print('   Next: --web draws it; --compare shows what the stock SDK does.\n');
  if (!processes && !inProcess)
    screen.print('   With a redis-server on the PATH and ioredis, the pods are processes.\n');
  if (json) print(JSON.stringify({ checks, ...(others && { stock: others }) }, null, 2));
  return checks.every(check => check.observed) ? EXIT.ok : EXIT.missing;
}

async function tell(options: Options, screen: Screen): Promise<readonly Check[]> {
  const { stock, processes, signal } = options;
  let redis: RedisProcess | undefined;
  let fleet: Fleet | undefined;
  let balancer: Balancer | undefined;
  try {
    redis = await privateRedis(options);
    fleet = new Fleet(podStarter(options, redis?.url));
    await fleet.grow(3);
    balancer = await startBalancer(fleet);
    signal.throwIfAborted();
    screen.title(stock ? 'The stock SDK: one session on three pods' : 'mcp-sdk-anypod: one session on any pod', {
      client: "the SDK's own, behind a round robin that knows nothing of sessions",
      pods: processes ? 'three processes' : 'three HTTP servers in this process',
      sessions: whereSessionsLive(options)
    });
    const story = new Story(fleet, balancer, screen, signal);
    await story.tell().catch((error: Error) => {
      signal.throwIfAborted();
      screen.print(`\n   ${error.message}`);
    });
    return story.checks;
  } finally {
    await fleet?.stop();
    await balancer?.stop();
    await redis?.stop();
  }
}

/** Serves the page until Ctrl-C. */
async function serve(options: Options): Promise<number> {
  const { stock, processes, inProcess, port, signal, print } = options;
  const redis = await privateRedis(options);
  const world = new World({
    starter: report => podStarter(options, redis?.url, report),
    place: processes ? 'each pod is a process' : 'all pods are servers in one process',
    store: stock ? 'none' : processes ? 'Redis' : 'memory',
    sdk: stock ? 'the stock SDK' : 'mcp-sdk-anypod'
  });
  try {
    await world.start();
    const server = await startWebServer(world, port);
    print(`Open ${server.url}   (Ctrl-C ends it)`);
    if (!processes && !inProcess) print('With a redis-server on the PATH and ioredis, the pods are processes.');
    if (!signal.aborted) await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
    await server.stop();
  } finally {
    await world.stop();
    await redis?.stop();
  }
  return EXIT.ok;
}

async function privateRedis({ processes, stock, redisUrl }: Options): Promise<RedisProcess | undefined> {
  return processes && !stock && redisUrl === undefined ? startRedisProcess() : undefined;
}

function podStarter(options: Options, privateUrl: string | undefined, report?: Reporter): PodStarter {
  const { stock, processes, redisUrl } = options;
  if (!processes) return podsInThisProcess(stock, report);
  return podsAsProcesses(stock ? undefined : (redisUrl ?? privateUrl), report);
}

function whereSessionsLive({ stock, processes, redisUrl }: Options): string {
  if (stock) return 'in the memory of the pod that opened them';
  if (!processes) return 'an InMemorySessionStore that the three share';
  return redisUrl === undefined ? 'a private Redis' : `the Redis at ${new URL(redisUrl).host}`;
}
