import { createMcpHandler, InMemoryEventStore, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { EventStream } from '../../support/clients/eventStream.js';
import { listen } from '../../support/servers/listen.js';
import { Journal, ProbeServer } from '../../support/pods/probeServer.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

/** A store whose next answer can be held back. */
class HeldStore extends InMemorySessionStore {
  #held: Promise<void> | undefined;
  asked = 0;

  /** @returns lets the answer go */
  holdNext(): () => void {
    let release = (): void => {};
    this.#held = new Promise(resolve => (release = resolve));
    return release;
  }

  override async touchSession(...args: Parameters<InMemorySessionStore['touchSession']>) {
    const held = this.#held;
    this.#held = undefined;
    this.asked++;
    const answer = await super.touchSession(...args);
    await held;
    return answer;
  }
}

describe.each(['Node', 'web'])('on %s, a client that has left before it was answered', runtime => {
  // Promise: F9
  test.each([
    ['with a GET', false],
    ['with the resume of one', true]
  ])('%s does not take the stream of its successor', async (_how, resumes) => {
    const sessionStore = new HeldStore();
    const journal = new Journal();
    const handler = createMcpHandler(() => new ProbeServer(journal, 'Server'), {
      ...journal.callbacks(),
      sessionStore,
      eventStore: new InMemoryEventStore()
    });
    let left = 0;
    let answered: Promise<unknown> | undefined;
    const { origin, stop } = await listen((req, res) => {
      res.on('close', () => left++);
      answered = handler.node(req, res);
    });
    stopAfterTest(stop, () => handler.close({ drainMs: 0 }));

    const client = await new RawClient().open(origin);
    const headers: Record<string, string> = { 'mcp-session-id': client.sessionId!, accept: 'text/event-stream' };
    const earlier = await EventStream.open(origin, { headers });
    await client.callTool(origin, 'log', { text: 'x' });
    await earlier.until(() => earlier.lastEventId !== undefined);
    if (resumes) headers['last-event-id'] = earlier.lastEventId!;

    const { asked } = sessionStore;
    const release = sessionStore.holdNext();
    const abort = new AbortController();
    const init = { headers, signal: abort.signal };
    if (runtime === 'web') answered = handler.fetch(new Request(origin, init));
    else fetch(origin, init).catch(() => {});
    await until('the store is asked', () => sessionStore.asked > asked);
    const first = answered;
    const before = left;
    abort.abort();
    if (runtime === 'Node') await until('the pod knows', () => left > before);
    const second = await EventStream.open(origin, { headers });
    release();
    await first;
    await client.callTool(origin, 'log', { text: 'y' });
    await second.until(() => second.messages.some(({ params }) => params?.data === 'y'));
    expect(second.ended).toBe(false);
    second.drop();
  });
});
