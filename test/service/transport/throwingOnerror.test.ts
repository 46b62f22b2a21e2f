import { InMemorySessionStore, type SessionData } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

class FailingStore extends InMemorySessionStore {
  fails = false;

  override async touchSession(...args: Parameters<InMemorySessionStore['touchSession']>): Promise<SessionData | null> {
    if (this.fails) throw new Error('away');
    return super.touchSession(...args);
  }
}

const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);
let reported: string[];
let sessionStore: FailingStore;

beforeEach(() => {
  reported = [];
  unhandled.length = 0;
  sessionStore = new FailingStore();
  process.on('unhandledRejection', note);
});

afterEach(() => {
  process.off('unhandledRejection', note);
});

function start(sessionFreshnessMs: number): Promise<LocalPod> {
  const onerror = (error: Error): void => {
    reported.push(error.name);
    throw new Error('of the application');
  };
  return LocalPod.start({ sessionStore, sessionFreshnessMs, onerror });
}

test('an onerror that throws does not change what a client is answered', async () => {
  const pod = await start(0);
  try {
    const client = await new RawClient().open(pod.url);
    sessionStore.fails = true;
    expect((await client.request(pod.url, 'ping')).status).toBe(503);
    expect((await client.delete(pod.url)).status).toBe(503);
    expect(reported).toEqual(['SessionStoreUnavailableError', 'SessionStoreUnavailableError']);
  } finally {
    await pod.stop();
  }
});

test('an onerror that throws about an error outside of any request does not end the process', async () => {
  const pod = await start(5000);
  try {
    const client = await new RawClient().open(pod.url);
    sessionStore.fails = true;
    expect((await client.request(pod.url, 'ping')).status).toBe(200);
    await until('the store has been asked in the background', () => reported.length > 0);
    await new Promise(setImmediate);
    expect(unhandled).toEqual([]);
  } finally {
    await pod.stop();
  }
});
