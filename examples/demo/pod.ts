/** One pod of the demo as a separate process: main.ts starts these with --redis. */
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { anypodEndpoint, listen, stockEndpoint } from './endpoint.js';

const { values: flags } = parseArgs({
  options: { name: { type: 'string', default: 'pod' }, redis: { type: 'string' } }
});

const redis =
  flags.redis === undefined ? undefined : new Redis(flags.redis, { lazyConnect: true, socketTimeout: 5000 });
redis?.on('error', (error: Error) => console.error(`Redis: ${error.message}`));
// A pod is ready when its store answers.
await redis?.connect().catch(() => process.exit(1));
const endpoint = redis
  ? anypodEndpoint(flags.name, new RedisSessionStore({ redis, keyPrefix: 'mcp-demo:' }))
  : stockEndpoint(flags.name);
const listener = await listen(endpoint);
console.log(`listening ${listener.port}`);

process.once('SIGTERM', () => {
  void listener.stop().then(() => redis?.quit());
});
