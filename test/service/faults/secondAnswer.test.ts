import { InMemoryEventStore, InMemorySessionBus, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventStream } from '../../support/clients/eventStream.js';
import { type Message, RawClient } from '../../support/clients/rawClient.js';
import { LocalPod } from '../../support/pods/localPod.js';

const storeTimeoutMs = 100;
const leaseMs = 50;

/** A bus that can be told to lose what is published, and not to say whether it has taken it. */
class FaultyBus extends InMemorySessionBus {
  loses = false;
  silent = false;

  override async publish(...args: Parameters<InMemorySessionBus['publish']>): Promise<void> {
    if (!this.loses) await super.publish(...args);
    if (this.silent) await new Promise(() => {});
  }
}

/** An event store that can be told to keep errors and never to say so, or not to keep them. */
class FaultyEventStore extends InMemoryEventStore {
  errors: 'told' | 'kept' | 'lost' = 'told';

  override storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return this.#store(message, () => super.storeEvent(streamId, message));
  }

  override storeLastEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return this.#store(message, () => super.storeLastEvent(streamId, message));
  }

  async #store(message: JSONRPCMessage, store: () => Promise<string>): Promise<string> {
    if (this.errors === 'told' || !('error' in message)) return store();
    if (this.errors === 'kept') await store();
    return new Promise(() => {});
  }
}

const sessionBus = new FaultyBus();
const eventStore = new FaultyEventStore();
let first: LocalPod;
let second: LocalPod;

beforeAll(async () => {
  const sessionStore = new InMemorySessionStore();
  const start = () => LocalPod.start({ sessionStore, sessionBus, eventStore, storeTimeoutMs, leaseMs });
  [first, second] = await Promise.all([start(), start()]);
});

afterEach(() => {
  Object.assign(sessionBus, { loses: false, silent: false });
  eventStore.errors = 'told';
});
afterAll(() => Promise.all([first.stop(), second.stop()]));

/** As the SDK's client does after an error, too. */
function comeBack(pod: LocalPod, { sessionId }: RawClient, lastEventId: string): Promise<EventStream> {
  const session = { 'mcp-session-id': sessionId!, 'mcp-protocol-version': '2025-11-25' };
  return EventStream.open(pod.url, {
    headers: { ...session, accept: 'text/event-stream', 'last-event-id': lastEventId }
  });
}

const errors = (messages: readonly Message[]) => messages.map(({ error }) => error?.message);

for (const log of ['told', 'kept', 'lost'] as const) {
  const what = { told: 'is in the log', kept: 'is in the log, which has not said so', lost: 'is not in the log' }[log];

  test(`a client gets one error from its own pod, and no other after the pod is gone, if the error ${what}`, async () => {
    const client = await new RawClient().open(first.url);
    eventStore.errors = log;
    const { stream } = await client.follow(first.url, 'no/such/method');
    await stream.untilEnded();
    expect(errors(stream.messages)).toEqual(['Method not found']);
    // Nobody hears the question for the first pod: as if that were gone.
    sessionBus.loses = true;
    for (const pod of [first, second]) expect((await comeBack(pod, client, stream.lastEventId!)).status).toBe(204);
  });

  test(`a client gets one error that the pod of its request is gone, if that error ${what}`, async () => {
    const client = await new RawClient().open(first.url);
    const { stream } = await client.followTool(first.url, 'hang');
    await stream.until(() => stream.lastEventId !== undefined);
    stream.drop();
    eventStore.errors = log;
    sessionBus.loses = true;
    const told = await comeBack(second, client, stream.lastEventId!);
    await told.untilEnded();
    expect(errors(told.messages)).toEqual(['The server that ran this request is gone']);
    for (const pod of [first, second]) expect((await comeBack(pod, client, told.lastEventId!)).status).toBe(204);
  });
}

test('a pod does not count as gone if the bus has not accepted the question within the lease', async () => {
  const client = await new RawClient().open(first.url, { capabilities: { elicitation: {} } });
  const { id, stream } = await client.followTool(first.url, 'ask', { text: 'there?' });
  await stream.until(() => stream.messages.length === 1);
  const question = stream.messages[0]!.id;
  stream.drop();
  Object.assign(sessionBus, { loses: true, silent: true });
  const resumed = await comeBack(second, client, stream.lastEventId!);
  Object.assign(sessionBus, { loses: false, silent: false });
  await client.post(second.url, { jsonrpc: '2.0', id: question, result: { action: 'decline' } });
  await resumed.untilEnded();
  expect(resumed.messages.map(message => [message.id, message.error])).toEqual([[id, undefined]]);
});
