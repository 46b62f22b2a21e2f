import { setTimeout as delay } from 'node:timers/promises';
import { AccountingClient } from '../support/clients/accountingClient.js';
import { startRedisServer } from '../support/servers/redisServer.js';
import { Spread } from '../support/clients/spread.js';
import { startTcpProxy } from '../support/servers/tcpProxy.js';
import { until } from '../support/until.js';
import { Chaos } from './chaos.js';
import { Random } from './random.js';
import { examples, hasFailed, reasonOf, tally } from './tally.js';

/**
 * Many clients at work on three pods that are killed and paused under them. Prints what became of everything that
 * was sent: the last line is JSON. SOAK_SECONDS, SOAK_CLIENTS and SOAK_SEED may be set; from 60 seconds on Redis has
 * its troubles too.
 */
const seconds = Number(process.env.SOAK_SECONDS ?? 10);
const clientCount = Number(process.env.SOAK_CLIENTS ?? 200);
const seed = Number(process.env.SOAK_SEED ?? 20251125);
const troublesRedis = seconds >= 60;
/** How long the last calls may take to have their outcome: a lease, a pause, and the work itself. */
const SETTLE_MS = 20_000;

const started = Date.now();
const random = new Random(seed);
const redis = await startRedisServer();
const proxy = await startTcpProxy(redis.port);
const redisUrl = troublesRedis ? `redis://127.0.0.1:${proxy.port}` : redis.url;
const chaos = await Chaos.start(redisUrl, random, ports => new Spread(ports));
const clients = await connectAll();
console.log(`${clients.length} clients after ${Date.now() - started} ms`);

const over = new AbortController();
const began = Date.now();
const working = Promise.all(clients.map(work));
const troubles = [chaos.killPods(over.signal), chaos.pausePods(over.signal)];
if (troublesRedis) troubles.push(chaos.troubleRedis(proxy, over.signal));
for (let second = 0; second < seconds; second++) {
  await delay(1000);
  if (second % 10 === 9) console.log(JSON.stringify({ second: second + 1, ...chaos.counts, ...tally(clients) }));
}
over.abort();
await Promise.all([...troubles, working]);
await until('every call has an outcome', isSettled, SETTLE_MS).catch(() => {});
await until('all that was told is heard', () => tally(clients).unheard === 0, SETTLE_MS).catch(() => {});
const result = tally(clients);
for (const example of examples(clients, began)) console.log(JSON.stringify(example));
// After all this, every session still works.
const last = await Promise.all(clients.map(client => client.call('work')));
const dead = last.flatMap(({ outcome, error }) => (outcome === 'answered' ? [] : [reasonOf(error)]));
await Promise.all(clients.map(client => client.leave()));
await chaos.stop();
await proxy.stop();
await redis.stop();
const ms = Date.now() - began;
console.log(JSON.stringify({ seed, ms, clients: clients.length, dead, ...chaos.counts, ...result }));

async function connectAll(): Promise<AccountingClient[]> {
  const { fetch } = chaos.spread;
  const connected: AccountingClient[] = [];
  // Not all at once: the trouble is to begin when they are there.
  while (connected.length < clientCount) {
    const next = Array.from({ length: Math.min(20, clientCount - connected.length) }, (_, i) =>
      AccountingClient.connect(`client${connected.length + i}`, Spread.url, { fetch, maxRetries: 100 })
    );
    connected.push(...(await Promise.all(next)));
  }
  await until('all listen', () => connected.every(({ streams }) => streams > 0), SETTLE_MS);
  return connected;
}

/** Sends one thing after the other, whether or not the earlier ones have been answered. */
async function work(client: AccountingClient): Promise<void> {
  while (!over.signal.aborted) {
    await delay(random.between(1000, 4000));
    const tool = random.of(['work', 'work', 'ask', 'tell', 'poll', 'steps']);
    const ms = random.chance(0.1) ? 1500 : random.below(400);
    void client.call(tool, { ms, count: tool === 'steps' ? 5 : 2, everyMs: 50 });
  }
}

function isSettled(): boolean {
  return clients.every(({ calls }) => calls.every(call => call.outcome !== 'pending' || hasFailed(call)));
}
