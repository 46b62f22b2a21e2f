import fc from 'fast-check';
import { startRedisServer, type RedisServer } from '../support/servers/redisServer.js';
import { type Endpoint, startPodsHere, startStock } from './endpoints.js';
import { play } from './player.js';
import { scripts } from './scripts.js';

const seed = Number(process.env.DISTRIBUTED_SEED ?? 20251125);
const numRuns = Number(process.env.DISTRIBUTED_RUNS ?? 100);

let redis: RedisServer;
let stock: Endpoint;
let pods: Endpoint;

beforeAll(async () => {
  redis = await startRedisServer();
  stock = await startStock();
  pods = await startPodsHere(3, redis.url);
});

afterAll(async () => {
  await Promise.all([stock.stop(), pods.stop()]);
  await redis.stop();
});

// Promise: L1
test(`clients of several pods see what clients of one process see (DISTRIBUTED_SEED=${seed})`, async () => {
  const property = fc.asyncProperty(scripts(3), async script => {
    const expected = await play(script, stock);
    expect(await play(script, pods)).toEqual(expected);
  });
  await fc.assert(property, { seed, numRuns });
}, 600_000);
