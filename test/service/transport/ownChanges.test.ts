import { InMemorySessionStore, StreamableHTTPServerTransport, type SessionData } from 'mcp-sdk-anypod/server';
import { Server } from 'mcp-sdk-upstream/server/index.js';
import { listen } from '../../support/servers/listen.js';
import { Journal, ProbeServer } from '../../support/pods/probeServer.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

type Call = 'storeSession' | 'touchSession' | 'patchSession';

/** A store whose answers can be held back, as by a network. */
class HeldStore extends InMemorySessionStore {
  takesChanges = true;
  readonly #holds: { call: Call; behind: number; onheld: (release: () => void) => void }[] = [];

  /**
   * Holds the next answer to that call back, behind so many that pass.
   * @returns what lets it go, when it is held
   */
  hold(call: Call, behind = 0): Promise<() => void> {
    return new Promise(onheld => this.#holds.push({ call, behind, onheld }));
  }

  override async storeSession(...args: Parameters<InMemorySessionStore['storeSession']>): Promise<void> {
    await super.storeSession(...args);
    await this.#held('storeSession');
  }

  override async touchSession(...args: Parameters<InMemorySessionStore['touchSession']>): Promise<SessionData | null> {
    const record = await super.touchSession(...args);
    await this.#held('touchSession');
    return record;
  }

  override async patchSession(...args: Parameters<InMemorySessionStore['patchSession']>): Promise<boolean> {
    if (!this.takesChanges) throw new Error('down');
    const isThere = await super.patchSession(...args);
    await this.#held('patchSession');
    return isThere;
  }

  async #held(call: Call): Promise<void> {
    const hold = this.#holds.find(each => each.call === call);
    if (!hold || hold.behind-- > 0) return;
    this.#holds.splice(this.#holds.indexOf(hold), 1);
    await new Promise<void>(release => hold.onheld(release));
  }
}

const subscribe = (client: RawClient, pod: LocalPod, uri: string) =>
  client.request(pod.url, 'resources/subscribe', { uri });

test('a record that was read before a change of this pod and arrives after it undoes nothing', async () => {
  const sessionStore = new HeldStore();
  const pod = await LocalPod.start({ sessionStore });
  try {
    const client = await new RawClient().open(pod.url);
    await subscribe(client, pod, 'test://a');
    const held = sessionStore.hold('touchSession');
    const ping = client.request(pod.url, 'ping');
    const release = await held;
    expect((await subscribe(client, pod, 'test://b')).status).toBe(200);
    release();
    expect((await ping).status).toBe(200);
    expect(pod.count('unsubscribe', client.sessionId)).toBe(0);

    expect((await client.request(pod.url, 'ping')).status).toBe(200);
    expect(
      pod.journal.entries.flatMap(({ what, name }) => (what.endsWith('subscribe') ? [`${what} ${name}`] : []))
    ).toEqual(['subscribe test://a', 'subscribe test://b']);
  } finally {
    await pod.stop();
  }
});

test('a record that was read before this pod had the session undoes nothing', async () => {
  const sessionStore = new HeldStore();
  const [elsewhere, pod] = await Promise.all([LocalPod.start({ sessionStore }), LocalPod.start({ sessionStore })]);
  try {
    const client = await new RawClient().open(elsewhere.url);
    const held = sessionStore.hold('touchSession');
    const ping = client.request(pod.url, 'ping');
    const release = await held;
    expect((await subscribe(client, pod, 'test://a')).status).toBe(200);
    release();
    expect((await ping).status).toBe(200);
    expect(pod.count('unsubscribe', client.sessionId)).toBe(0);
  } finally {
    await Promise.all([elsewhere.stop(), pod.stop()]);
  }
});

test('a record that was read before a change was stored late undoes nothing', async () => {
  const sessionStore = new HeldStore();
  const pod = await LocalPod.start({ sessionStore });
  try {
    const client = await new RawClient().open(pod.url);
    await subscribe(client, pod, 'test://a');
    sessionStore.takesChanges = false;
    expect((await subscribe(client, pod, 'test://b')).status).toBe(200);
    sessionStore.takesChanges = true;
    // As by another pod: what is read from now on is news.
    await sessionStore.patchSession(client.sessionId!, { subscribe: 'test://c' });
    const held = sessionStore.hold('touchSession');
    const ping = client.request(pod.url, 'ping');
    const release = await held;
    expect((await client.request(pod.url, 'ping')).status).toBe(200);
    release();
    expect((await ping).status).toBe(200);
    expect(pod.count('unsubscribe')).toBe(0);
  } finally {
    await pod.stop();
  }
});

test('storing the end of the handshake undoes no change that is read meanwhile', async () => {
  const sessionStore = new HeldStore();
  const [pod, other] = await Promise.all([LocalPod.start({ sessionStore }), LocalPod.start({ sessionStore })]);
  try {
    const client = new RawClient();
    await client.initialize(pod.url);
    const stored = sessionStore.hold('patchSession');
    const initialized = client.notify(pod.url, 'notifications/initialized');
    const endStoring = await stored;
    const read = sessionStore.hold('touchSession');
    const ping = client.request(pod.url, 'ping');
    const endReading = await read;

    expect((await subscribe(client, other, 'test://a')).status).toBe(200);
    await until('the pod has heard of it', () => pod.count('subscribe') === 1);
    endStoring();
    expect((await initialized).status).toBe(202);
    // Read before the subscription.
    endReading();
    expect((await ping).status).toBe(200);
    expect(pod.count('unsubscribe')).toBe(0);
  } finally {
    await Promise.all([pod.stop(), other.stop()]);
  }
});

test.each([
  ['when its own is stored', false],
  ['while its own is being stored', true]
])('a pod that reads a change of another one %s learns of both', async (_, isStoring) => {
  const sessionStore = new HeldStore();
  const [pod, other] = await Promise.all([LocalPod.start({ sessionStore }), LocalPod.start({ sessionStore })]);
  try {
    const client = await new RawClient().open(pod.url);
    await client.request(other.url, 'ping');
    const looked = sessionStore.hold('touchSession');
    const here = subscribe(client, pod, 'test://here');
    const goOn = await looked;
    // Behind the other pod's own look: this one hears of the change, and reads the session anew.
    const read = sessionStore.hold('touchSession', 1);
    expect((await subscribe(client, other, 'test://elsewhere')).status).toBe(200);
    const endReading = await read;

    const stored = isStoring ? sessionStore.hold('patchSession') : undefined;
    goOn();
    const endStoring = await stored;
    if (!isStoring) await here;
    endReading();
    endStoring?.();
    expect((await here).status).toBe(200);
    for (const each of [pod, other]) {
      const known = () => new Set(each.journal.entries.filter(e => e.what === 'subscribe').map(e => e.name));
      await until('it knows of both', () => known().size === 2);
      expect(each.count('unsubscribe')).toBe(0);
    }
  } finally {
    await Promise.all([pod.stop(), other.stop()]);
  }
});

test('a transport that is closed while its session is stored leaves no session in the store', async () => {
  const sessionStore = new HeldStore();
  const journal = new Journal();
  const transport = new StreamableHTTPServerTransport({ sessionStore, ...journal.callbacks() });
  const probe = new ProbeServer(journal, 'Server');
  await probe.connect(transport);
  const { origin, stop } = await listen((req, res) => void transport.handleRequest(req, res));
  try {
    const held = sessionStore.hold('storeSession');
    const answer = new RawClient().initialize(origin);
    const release = await held;
    await probe.close();
    release();
    expect((await answer).status).toBe(404);
    expect(journal.entries.map(({ what }) => what)).not.toContain('onsessioninitialized');
    const left: string[] = [];
    for await (const ids of sessionStore.listSessionIds()) left.push(...ids);
    expect(left).toEqual([]);
  } finally {
    await stop();
  }
});

test('a log level that is not a string is not stored, even if the application accepts it', async () => {
  const sessionStore = new InMemorySessionStore();
  const transport = new StreamableHTTPServerTransport({ sessionStore });
  const server = new Server({ name: 'lenient', version: '1' }, { capabilities: {} });
  server.fallbackRequestHandler = async () => ({});
  await server.connect(transport);
  const { origin, stop } = await listen((req, res) => void transport.handleRequest(req, res));
  try {
    const client = await new RawClient().open(origin);
    expect((await client.request(origin, 'logging/setLevel', { level: 5 })).messages[0]?.result).toEqual({});
    expect((await client.request(origin, 'ping')).status).toBe(200);
    expect((await sessionStore.getSession(client.sessionId!))?.metadata?.mcp).not.toHaveProperty('logLevel');
  } finally {
    await Promise.all([stop(), server.close()]);
  }
});
