/**
 * One session, three pods, a round robin without knowledge of sessions, and the SDK's own client.
 *
 *   npm run demo                  pods in this process
 *   npm run demo -- --redis       pods as processes, on a private redis-server
 *   npm run demo -- --stock       the same with the stock SDK, to see what fails
 *
 * Exits with 0 only if everything that it claims was observed.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { type RedisServer, startRedisServer } from '../../test/support/servers/redisServer.js';
import { type Balancer, startBalancer } from './balancer.js';
import { Fleet, podsAsProcesses, podsInThisProcess, type PodStarter } from './fleet.js';
import { print, summary, title } from './screen.js';
import { Story } from './story.js';

const usage = `
One MCP session on three pods behind a round robin, and what happens to it.

  npm run demo -- [options]

  --redis [url]   pods are processes that share this Redis, or a private redis-server from the PATH
  --stock         the stock SDK, which keeps sessions in one process: shows what fails, and ends with 1
  --help          this text
`;

interface Options {
  stock: boolean;
  /** Pods are processes. */
  redis: boolean;
  redisUrl?: string;
}

const interrupted = new AbortController();
// Not once(): Ctrl-C in a terminal sends two signals, from the terminal and from tsx. The second must not kill.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupted.abort());
// The reader of the output may close it, as `head` does.
process.stdout.on('error', () => interrupted.abort());

try {
  const options = readOptions();
  if (options) process.exitCode = (await play(options, interrupted.signal)) ? 0 : 1;
  else print(usage);
} catch (error) {
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
  print(interrupted.signal.aborted ? '\nInterrupted.' : `\n${(error as Error).message}`);
}

function readOptions(): Options | undefined {
  // --redis is a flag with an optional URL, which parseArgs does not support: the URL becomes a separate argument.
  const args = process.argv.slice(2).flatMap(arg => (arg.startsWith('--redis=') ? ['--redis', arg.slice(8)] : [arg]));
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { redis: { type: 'boolean' }, stock: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }
  });
  if (values.help) return undefined;
  const [redisUrl, ...rest] = positionals;
  if (rest.length > 0 || (redisUrl !== undefined && !values.redis)) throw new Error(usage);
  return { stock: values.stock ?? false, redis: values.redis ?? false, redisUrl };
}

/** @returns whether everything was observed. @throws if it was interrupted; nothing is left running then either */
async function play(options: Options, signal: AbortSignal): Promise<boolean> {
  let redis: RedisServer | undefined;
  let fleet: Fleet | undefined;
  let balancer: Balancer | undefined;
  try {
    if (options.redis && !options.stock && options.redisUrl === undefined) redis = await privateRedis();
    fleet = new Fleet(podStarter(options, redis?.url));
    await fleet.grow(3);
    balancer = await startBalancer(fleet);
    signal.throwIfAborted();
    title(options.stock ? 'The stock SDK: one session on three pods' : 'mcp-sdk-anypod: one session on any pod', {
      client: "the SDK's own, behind a round robin that knows nothing of sessions",
      pods: options.redis ? 'three processes' : 'three HTTP servers in this process',
      sessions: whereSessionsLive(options)
    });
    const story = new Story(fleet, balancer, signal);
    await story.tell().catch((error: Error) => {
      signal.throwIfAborted();
      print(`\n   ${error.message}`);
    });
    summary(story.checks);
    if (!options.stock && !options.redis)
      print('   Next: --redis for pods that are processes, --stock for the SDK as it comes.\n');
    return story.checks.every(check => check.observed);
  } finally {
    await fleet?.stop();
    await balancer?.stop();
    await redis?.stop();
  }
}

function podStarter({ stock, redis, redisUrl }: Options, privateUrl: string | undefined): PodStarter {
  if (!redis) return podsInThisProcess(stock);
  return podsAsProcesses(stock ? undefined : (redisUrl ?? privateUrl));
}

function whereSessionsLive({ stock, redis, redisUrl }: Options): string {
  if (stock) return 'in the memory of the pod that opened them';
  if (!redis) return 'an InMemorySessionStore that the three share';
  return redisUrl === undefined ? 'a private Redis' : `the Redis at ${new URL(redisUrl).host}`;
}

async function privateRedis(): Promise<RedisServer> {
  if (spawnSync('redis-server', ['--version']).error) {
    throw new Error('There is no redis-server on the PATH: install one, or name a Redis with --redis <url>.');
  }
  return startRedisServer();
}
