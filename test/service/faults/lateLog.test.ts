import { InMemoryEventStore, InMemorySessionBus, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { EventStream } from '../../support/clients/eventStream.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { LocalPod } from '../../support/pods/localPod.js';

const storeTimeoutMs = 100;

/** An event store that can be told to keep events at once and to say so later. */
class LateEventStore extends InMemoryEventStore {
  #told: Promise<void> | undefined;
  #tell: () => void = () => {};

  holdAnswers(): void {
    this.#told = new Promise(resolve => (this.#tell = resolve));
  }

  giveAnswers(): void {
    this.#told = undefined;
    this.#tell();
  }

  override async storeEvent(...args: Parameters<InMemoryEventStore['storeEvent']>): Promise<string> {
    const eventId = await super.storeEvent(...args);
    await this.#told;
    return eventId;
  }
}

const eventStore = new LateEventStore();
let first: LocalPod;
let second: LocalPod;

beforeAll(async () => {
  const sessionStore = new InMemorySessionStore();
  const sessionBus = new InMemorySessionBus();
  const start = () => LocalPod.start({ sessionStore, sessionBus, eventStore, storeTimeoutMs });
  [first, second] = await Promise.all([start(), start()]);
});

afterEach(() => eventStore.giveAnswers());
afterAll(() => Promise.all([first.stop(), second.stop()]));

function headersOf({ sessionId }: RawClient): Record<string, string> {
  return { accept: 'text/event-stream', 'mcp-session-id': sessionId!, 'mcp-protocol-version': '2025-11-25' };
}

async function listen(pod: LocalPod, client: RawClient, lastEventId?: string): Promise<EventStream> {
  const cursor = lastEventId !== undefined && { 'last-event-id': lastEventId };
  const stream = await EventStream.open(pod.url, { headers: { ...headersOf(client), ...cursor } });
  await stream.until(() => stream.lastEventId !== undefined);
  return stream;
}

const texts = (stream: EventStream) =>
  stream.messages.flatMap(({ params }) => (params ? [params.data ?? params.message] : []));

for (const [where, holder] of [
  ['the pod that sends them', () => first],
  ['another pod', () => second]
] as const) {
  test(`a message that the log stores late is sent once on a GET stream of ${where}, also after a resume`, async () => {
    const client = await new RawClient().open(first.url, { capabilities: { elicitation: {} } });
    const stream = await listen(holder(), client);
    const cursor = stream.lastEventId;
    eventStore.holdAnswers();
    expect(await client.callTool(first.url, 'log', { text: 'late' })).toBe('logged');
    await stream.until(() => texts(stream).length === 5);
    expect(stream.lastEventId).toBe(cursor);
    eventStore.giveAnswers();
    await stream.until(() => stream.lastEventId !== cursor);
    // The log has everything in order, so this comes behind what was stored late.
    expect(await client.callTool(first.url, 'log', { text: 'in time' })).toBe('logged');
    await stream.until(() => texts(stream).includes('in time'));
    stream.drop();
    const resumed = await listen(second, client, stream.lastEventId);
    await resumed.until(() => texts(stream).length + texts(resumed).length === 10);
    expect([...texts(stream), ...texts(resumed)]).toEqual(
      ['late', 'in time'].flatMap(text => Array<string>(5).fill(text))
    );
    resumed.drop();
  });

  test(`a question that the log stores late is shown once on a GET stream of ${where}`, async () => {
    const client = await new RawClient().open(first.url, { capabilities: { elicitation: {} } });
    const stream = await listen(holder(), client);
    const cursor = stream.lastEventId;
    eventStore.holdAnswers();
    const { stream: call } = await client.followTool(first.url, 'ask', { text: 'late?', unrelated: true });
    await stream.until(() => texts(stream).length === 1);
    eventStore.giveAnswers();
    await stream.until(() => stream.lastEventId !== cursor);
    stream.drop();
    const resumed = await listen(first, client, stream.lastEventId);
    expect(await client.callTool(first.url, 'log', { text: 'in time' })).toBe('logged');
    await resumed.until(() => texts(resumed).includes('in time'));
    expect(texts(resumed)).not.toContain('late?');
    for (const each of [call, resumed]) each.drop();
  });
}

test('a client gets a newer cursor for the stream of its request if the log stores a message of it late', async () => {
  const client = await new RawClient().open(first.url, { capabilities: { elicitation: {} } });
  eventStore.holdAnswers();
  const body = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'ask', arguments: { text: 'late?' } } };
  const call = await EventStream.open(first.url, {
    method: 'POST',
    headers: {
      ...headersOf(client),
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json'
    },
    body: JSON.stringify(body)
  });
  await call.until(() => texts(call).length === 1);
  const cursor = call.lastEventId;
  eventStore.giveAnswers();
  await call.until(() => call.lastEventId !== cursor);
  call.drop();
  const resumed = await listen(second, client, call.lastEventId);
  await client.post(second.url, { jsonrpc: '2.0', id: call.messages[0]!.id, result: { action: 'decline' } });
  await resumed.untilEnded();
  expect(resumed.messages.map(({ id }) => id)).toEqual([7]);
});
