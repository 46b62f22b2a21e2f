import { AccountingClient, type Call } from '../support/clients/accountingClient.js';
import { Spread } from '../support/clients/spread.js';
import { until } from '../support/until.js';
import { useCluster } from './cluster.js';

const CLIENTS = 12;

/** Calls one tool after the other until it is told to stop. */
async function work(client: AccountingClient, until: AbortSignal): Promise<void> {
  for (let turn = 0; !until.aborted; turn++) {
    const ms = 50 + ((turn * 83) % 250);
    const tool = ['work', 'ask', 'tell', 'poll'][turn % 4]!;
    await client.call(tool, { ms, count: 2 });
  }
}

const tokensOf = (calls: Call[], tool: string) =>
  calls.filter(call => call.tool === tool).flatMap(({ token }) => [`${token}.0`, `${token}.1`]);

describe.each([
  ['with an event store', []],
  ['without an event store', ['--no-log']],
  ['on version 2 of the SDK', ['--sdk', '2']]
])('%s', (_, flags) => {
  const hasLog = !flags.includes('--no-log');
  const cluster = useCluster(3, { script: 'test/support/pods/busyPod.ts', flags, backend: 'redis' });

  test('every call is answered once while every pod is replaced under load', async () => {
    const spread = new Spread(cluster.pods.map(pod => pod.port));
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_, i) =>
        AccountingClient.connect(`c${i}`, Spread.url, { fetch: spread.fetch, maxRetries: 10 })
      )
    );
    await until('all listen', () => clients.every(({ streams }) => streams > 0));
    // Once it has heard something, a standalone stream has a cursor.
    await Promise.all(clients.map(client => client.call('tell', { count: 2 })));
    await until('all have heard', () => clients.every(({ heard }) => heard.size === 2));

    const stop = new AbortController();
    const working = Promise.all(clients.map(client => work(client, stop.signal)));
    for (const index of cluster.pods.keys()) {
      const leaving = cluster.pods[index]!;
      spread.setPorts(cluster.pods.filter(pod => pod !== leaving).map(pod => pod.port));
      await spread.settled(leaving.port);
      expect(await leaving.stop('SIGTERM')).toBe(0);
      cluster.pods[index] = await cluster.addExtraPod();
      spread.setPorts(cluster.pods.map(pod => pod.port));
    }
    const begun = clients.reduce((sum, { calls }) => sum + calls.length, 0);
    await until('the new pods have been worked on', () =>
      clients.every(({ calls }) => calls.length > begun / CLIENTS + 4)
    );
    stop.abort();
    const isDone = () => clients.every(({ calls }) => calls.every(({ outcome }) => outcome !== 'pending'));
    await until('every call has an outcome', isDone).catch(() => {});
    // A call that is lost keeps its client from going on.
    if (isDone()) await working;

    for (const { name, calls, asked, heard, gaps, doubled, secondAnswers, foreign } of clients) {
      const notAnswered = calls.filter(({ outcome }) => outcome !== 'answered');
      expect([name, notAnswered, doubled, secondAnswers, foreign]).toEqual([name, [], [], [], []]);
      const questions = calls.filter(({ tool }) => tool === 'ask').map(({ token }) => token);
      expect([...asked.keys()].sort()).toEqual(questions.sort());
      // Nobody keeps what is told between two standalone streams where there is no event store.
      const told = calls.filter(call => hasLog || !gaps.some(gap => overlaps(gap, call)));
      const tokens = tokensOf(told, 'tell');
      await until('what was told is heard', () => tokens.every(token => heard.has(token))).catch(() => {});
      expect(tokens.filter(token => !heard.has(token))).toEqual([]);
    }
    expect(begun).toBeGreaterThan(CLIENTS * 8);
    await Promise.all(clients.map(client => client.leave()));
  });
});

/** How much later than the pod a client may notice that its stream has ended. */
const NOTICE_MS = 250;

function overlaps(gap: { from: number; to: number }, { sentAt, settledAt }: Call): boolean {
  return sentAt <= gap.to + NOTICE_MS && settledAt >= gap.from - NOTICE_MS;
}
