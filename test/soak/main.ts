import { setTimeout as delay } from 'node:timers/promises';
import { AccountingClient } from '../support/clients/accountingClient.js';
import { startRedisServer } from '../support/servers/redisServer.js';
import { Spread } from '../support/clients/spread.js';
import { until } from '../support/until.js';
import { Chaos } from './chaos.js';
import { Random } from './random.js';
import { RedisTroubles } from './redisTroubles.js';
import { COUNTS, examples, hasFailed, reasonOf, tally } from './tally.js';

/**
 * Many clients at work on three pods that are killed and paused under them, while Redis and the network to it have
 * troubles of their own. Prints what became of everything that was sent: the last line is JSON. SOAK_SECONDS,
 * SOAK_CLIENTS, SOAK_SEED and SOAK_SDK, the version of the SDK, may be set.
 */
const seconds = Number(process.env.SOAK_SECONDS ?? 10);
const clientCount = Number(process.env.SOAK_CLIENTS ?? 200);
const seed = Number(process.env.SOAK_SEED ?? 20251125);
const sdk = process.env.SOAK_SDK ?? '1';
/** A short run has a trouble of Redis or two, a long one has time to recover from each. */
const redisPauseMs = Math.min(12_000, seconds * 500);
/**
 * How long the last calls may take to have their outcome: a lease, a pause, and the work itself; and notifications to be
 * heard, of which a pod has not been told: it looks into the log every 15 seconds.
 */
const SETTLE_MS = 30_000;

const started = Date.now();
const random = new Random(seed);
const redis = await startRedisServer();
const troubles = await RedisTroubles.start(redis, random);
const chaos = await Chaos.start(troubles.url, sdk, random, ports => new Spread(ports));
const clients = await connectAll();
console.log(`${clients.length} clients after ${Date.now() - started} ms`);

const over = new AbortController();
const began = Date.now();
const working = Promise.all(clients.map(work));
const happening = [chaos.killPods(over.signal), chaos.pausePods(over.signal), troubles.run(redisPauseMs, over.signal)];
for (let second = 0; second < seconds; second++) {
  await delay(1000);
  if (second % 10 === 9) console.log(JSON.stringify({ second: second + 1, ...faults(), ...account() }));
}
over.abort();
await Promise.all([...happening, working]);
await until('every call has an outcome', isSettled, SETTLE_MS).catch(() => {});
await until('all that was sent is heard', () => account().notificationsLost === 0, SETTLE_MS).catch(() => {});
const result = account();
for (const example of examples(clients, chaos.unlogged, began)) console.log(JSON.stringify(example));
// After all this, every session still works.
const last = await Promise.all(clients.map(client => client.call('work')));
const dead = last.flatMap(({ outcome, error }) => (outcome === 'answered' ? [] : [reasonOf(error)]));
await Promise.all(clients.map(client => client.leave()));
await chaos.stop();
await troubles.stop();
await redis.stop();
const ms = Date.now() - began;
console.log(JSON.stringify({ seed, sdk, ms, clients: clients.length, dead, ...faults(), ...result }));

function faults() {
  return { ...chaos.counts, redis: troubles.counts };
}

function account() {
  return tally(clients, chaos.unlogged, chaos.kills);
}

async function connectAll(): Promise<AccountingClient[]> {
  const { fetch } = chaos.spread;
  const connected: AccountingClient[] = [];
  // Not all at once: the trouble is to begin when they are there.
  while (connected.length < clientCount) {
    const next = Array.from({ length: Math.min(20, clientCount - connected.length) }, (_, i) =>
      AccountingClient.connect(`client${connected.length + i}`, Spread.url, { fetch, maxRetries: 1000 })
    );
    connected.push(...(await Promise.all(next)));
  }
  // They are told nothing yet: the first word on a standalone stream may come after its pod was killed.
  await until('all listen', () => connected.every(({ streams }) => streams > 0), SETTLE_MS);
  return connected;
}

/** Sends one thing after the other, whether or not the earlier ones have been answered. */
async function work(client: AccountingClient): Promise<void> {
  while (!over.signal.aborted) {
    await delay(random.between(1000, 4000));
    const tool = random.of(['work', 'ask', 'tell', 'tell', 'poll', 'steps', 'beat']);
    const ms = random.chance(0.1) ? 1500 : random.below(400);
    void client.call(tool, { ms, count: COUNTS[tool], everyMs: 50 });
  }
}

function isSettled(): boolean {
  return clients.every(({ calls }) => calls.every(call => call.outcome !== 'pending' || hasFailed(call)));
}
