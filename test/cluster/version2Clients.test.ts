import { clients } from '../support/clients/eitherEra.js';
import { until } from '../support/until.js';
import { useCluster } from './cluster.js';
import { balance, ObservedClient } from './observedClient.js';

describe.each(Object.entries(clients))('a client of %s, on three pods of version 2', (_name, connect) => {
  let client: ObservedClient;
  // While its pods are there: it would listen again.
  afterAll(() => client.close());
  const cluster = useCluster(3, { script: 'test/cluster/eitherVersionPod.ts', backend: 'redis' });
  beforeAll(async () => {
    client = new ObservedClient(cluster);
    await client.connect(connect);
  });

  test('calls tools, answers another pod than asked, and hears of changes, before and after a pod is killed', async () => {
    await client.expectService(cluster.pods);
    const killed = cluster.pods.find(({ pid }) => String(pid) === client.stream)!;
    const rest = cluster.pods.filter(pod => pod !== killed);
    client.heard = 0;
    balance(cluster, ...rest);
    await killed.stop('SIGKILL');
    if (client.sessionId !== undefined) {
      // Nobody holds the client's stream now.
      await client.call('change');
      await until('what was missed is replayed', () => client.heard === 1);
      expect(client.resumed.at(-1)).toBe(client.stream);
    }
    await client.expectService(rest);
    cluster.pods.splice(0, 3, ...rest, await cluster.addExtraPod());
    await client.expectService(cluster.pods);
  });

  test('gets the answer of each call that a pod is leaving with, while all pods are replaced', async () => {
    await client.expectRoll();
    await client.expectService(cluster.pods);
  });
});
