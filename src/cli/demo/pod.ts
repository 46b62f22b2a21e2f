/** One pod of the demo as a separate process: podProcess.ts starts these. */
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { RedisEventStore } from '../../backends/redis/eventStore.js';
import { RedisSessionStore } from '../../backends/redis/sessionStore.js';
import { anypodEndpoint, listen, stockEndpoint } from './endpoint.js';
import { reportCalls, type PodReport } from './podReport.js';

const { values: flags } = parseArgs({
  options: { name: { type: 'string', default: 'pod' }, redis: { type: 'string' }, report: { type: 'boolean' } }
});

const send = (message: PodReport | { listening: number }): void => void process.send?.(message);
// The starter is gone: nobody would end this process.
process.once('disconnect', () => process.exit(1));
// Ctrl-C in a terminal reaches every process of the demo. The starter ends this one in order.
process.on('SIGINT', () => {});

const redis =
  flags.redis === undefined ? undefined : new Redis(flags.redis, { lazyConnect: true, socketTimeout: 5000 });
redis?.on('error', (error: Error) => process.stderr.write(`Redis: ${error.message}\n`));
const keyPrefix = 'mcp-demo:';
// A pod is ready when its store answers.
await redis?.connect().catch(() => process.exit(1));
const report = flags.report ? send : undefined;
if (report) reportCalls(flags.name, report);
const endpoint = redis
  ? anypodEndpoint(
      { pod: flags.name, report },
      new RedisSessionStore({ redis, keyPrefix }),
      new RedisEventStore({ redis, keyPrefix })
    )
  : stockEndpoint(flags.name);
const listener = await listen(endpoint);
send({ listening: listener.port });

process.once('SIGTERM', () => {
  // The channel to the starter would hold the process.
  void listener
    .stop()
    .then(() => redis?.quit())
    .finally(() => process.exit(0));
});
