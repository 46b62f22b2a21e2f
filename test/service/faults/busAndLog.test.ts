import { setTimeout as delay } from 'node:timers/promises';
import { InMemoryEventStore, InMemorySessionBus, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { EventStream } from '../../support/clients/eventStream.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

const storeTimeoutMs = 100;

/** A bus that can be told to refuse subscriptions, to lose what is published, and not to say whether it has taken it. */
class FaultyBus extends InMemorySessionBus {
  refuses = false;
  loses = false;
  silent = false;

  override async subscribe(...args: Parameters<InMemorySessionBus['subscribe']>): Promise<() => Promise<void>> {
    if (this.refuses) throw new Error('refused');
    return super.subscribe(...args);
  }

  override async publish(...args: Parameters<InMemorySessionBus['publish']>): Promise<void> {
    if (!this.loses) await super.publish(...args);
    if (this.silent) await new Promise(() => {});
  }
}

/** An event store whose replays can be told to fail, or to say nothing from some event on. */
class FaultyEventStore extends InMemoryEventStore {
  fails = false;
  silentAfter = Infinity;
  #onlate: (() => void) | undefined;

  /** The next replay sends when its caller has given up, and waits for nothing. @returns when it has sent */
  sendLate(): Promise<void> {
    return new Promise(resolve => (this.#onlate = resolve));
  }

  override async replayEventsAfter(
    lastEventId: string,
    { send }: Parameters<InMemoryEventStore['replayEventsAfter']>[1]
  ): Promise<string> {
    if (this.fails) throw new Error('failed');
    const onlate = this.#onlate;
    if (onlate) {
      this.#onlate = undefined;
      await delay(10 * storeTimeoutMs + 200);
      void send('late', { jsonrpc: '2.0', method: 'notifications/message' });
      onlate();
      return '';
    }
    let sent = 0;
    const stalling: typeof send = async (...event) => {
      await (sent++ < this.silentAfter ? send(...event) : new Promise(() => {}));
    };
    return super.replayEventsAfter(lastEventId, { send: stalling });
  }
}

const sessionBus = new FaultyBus();
const eventStore = new FaultyEventStore({ maxEventsPerStream: 10_000 });
let first: LocalPod;
let second: LocalPod;

beforeAll(async () => {
  const sessionStore = new InMemorySessionStore();
  const start = () => LocalPod.start({ sessionStore, sessionBus, eventStore, storeTimeoutMs });
  [first, second] = await Promise.all([start(), start()]);
});

afterAll(() => Promise.all([first.stop(), second.stop()]));

afterEach(() => {
  Object.assign(sessionBus, { refuses: false, loses: false, silent: false });
  Object.assign(eventStore, { fails: false, silentAfter: Infinity });
});

function listen(pod: LocalPod, { sessionId }: RawClient, lastEventId?: string): Promise<EventStream> {
  const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId! };
  return EventStream.open(pod.url, {
    headers: lastEventId === undefined ? headers : { ...headers, 'last-event-id': lastEventId }
  });
}

/** The tool `log` sends its text so many times. */
const REPEATS = 5;

/** How often the stream has brought a text. */
const count = (stream: EventStream, text: string) =>
  stream.messages.filter(({ params }) => params?.data === text).length;

test('a pod whose subscription was refused subscribes again and catches up', async () => {
  const client = await new RawClient().open(first.url);
  sessionBus.refuses = true;
  expect(await client.callTool(second.url, 'echo', { text: 'x' })).toBe('x');
  expect(second.errors.at(-1)).toBe('BusUnavailableError: subscribe failed (Error: refused)');
  await client.delete(first.url);
  expect(second.count('server closed', client.sessionId)).toBe(0);
  sessionBus.refuses = false;
  await until('the pod has closed its server', () => second.count('server closed', client.sessionId) === 1);
});

test('the notifications of a batch wait together for a bus that does not answer, and keep their order', async () => {
  const client = await new RawClient().open(first.url);
  expect(await client.callTool(second.url, 'echo', { text: 'x' })).toBe('x');
  const steps = Array.from({ length: 20 }, (_, step) => step);
  const batch = steps.map(step => ({ jsonrpc: '2.0', method: 'notifications/step', params: { step } }));
  sessionBus.silent = true;
  const { status, ms } = await client.post(first.url, batch);
  expect([status, ms < (steps.length / 2) * storeTimeoutMs]).toEqual([202, true]);
  const heard = () =>
    second.journal.entries.flatMap(({ name, sessionId, params }) => {
      return name === 'notifications/step' && sessionId === client.sessionId ? [(params as { step: number }).step] : [];
    });
  await until('all have arrived', () => heard().length === steps.length);
  expect(heard()).toEqual(steps);
});

test('an event that was not announced arrives late, but is not lost, if the log cannot be read meanwhile', async () => {
  const client = await new RawClient().open(first.url);
  const stream = await listen(first, client);
  const log = async (text: string) => expect(await client.callTool(second.url, 'log', { text })).toBe('logged');
  sessionBus.loses = true;
  await log('not told of');
  sessionBus.loses = false;

  eventStore.fails = true;
  await log('told of');
  await stream.until(() => count(stream, 'told of') === REPEATS);
  eventStore.fails = false;
  await log('last');
  await stream.until(() => count(stream, 'last') === REPEATS);
  expect(['not told of', 'told of', 'last'].map(text => count(stream, text))).toEqual([REPEATS, REPEATS, REPEATS]);
  stream.drop();
});

test('each of many events that arrive while the log cannot be read is delivered once', async () => {
  const client = await new RawClient().open(first.url);
  const stream = await listen(first, client);
  eventStore.fails = true;
  const calls = 250;
  for (let i = 0; i < calls; i++) await client.callTool(second.url, 'log', { text: 'many' });
  await stream.until(() => count(stream, 'many') === calls * REPEATS);
  eventStore.fails = false;
  await client.callTool(second.url, 'log', { text: 'last' });
  await stream.until(() => count(stream, 'last') === REPEATS);
  expect(count(stream, 'many')).toBe(calls * REPEATS);
  stream.drop();
});

test('a replay that stalls is answered with an error and loses no event', async () => {
  const client = await new RawClient().open(first.url);
  const stream = await listen(first, client);
  expect(await client.callTool(first.url, 'log', { text: 'x' })).toBe('logged');
  await stream.until(() => count(stream, 'x') === REPEATS);
  stream.drop();
  const cursor = stream.events[0]!.id!;

  eventStore.silentAfter = 1;
  const stalled = await listen(second, client, cursor);
  expect(stalled.status).toBe(500);
  expect(second.errors.at(-1)).toBe('EventStoreUnavailableError: replayEventsAfter did not answer within 1000 ms');
  eventStore.silentAfter = Infinity;
  const resumed = await listen(second, client, cursor);
  await resumed.until(() => count(resumed, 'x') === REPEATS - 1);
  resumed.drop();
});

test('a late replay of a store that does not await its sends causes no unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    const client = await new RawClient().open(first.url);
    const stream = await listen(first, client);
    expect(await client.callTool(first.url, 'log', { text: 'x' })).toBe('logged');
    await stream.until(() => count(stream, 'x') === REPEATS);
    stream.drop();
    const sent = eventStore.sendLate();
    expect((await listen(second, client, stream.events[0]!.id)).status).toBe(500);
    await sent;
    await new Promise(setImmediate);
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
  }
});
