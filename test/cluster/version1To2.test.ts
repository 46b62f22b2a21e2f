import { clients } from '../support/clients/eitherEra.js';
import { useCluster } from './cluster.js';
import { ObservedClient } from './observedClient.js';

const SDK_1 = ['--sdk', '1'];
const SDK_2 = ['--sdk', '2'];

/* src/v2/README.md describes the deploys. */
describe.each(Object.entries(clients))('a client of %s, whose pods are of version 1', (_name, connect) => {
  const cluster = useCluster(3, { script: 'test/cluster/eitherVersionPod.ts', flags: SDK_1, backend: 'redis' });

  test('keeps its session and its state while they are replaced by pods of version 2, and in a rollback', async () => {
    const client = new ObservedClient(cluster);
    await client.connect(connect);
    const { sessionId } = client;
    let count = 0;
    const expectSession = async (): Promise<void> => {
      await client.expectService(cluster.pods);
      for (let i = 0; i < 3; i++) expect(await client.call('count')).toBe(String(++count));
      expect([sessionId, client.sessionId]).toEqual([expect.any(String), sessionId]);
    };
    await expectSession();
    await client.expectRoll(...SDK_2, '--refuse-modern');
    await expectSession();
    await client.expectRoll(...SDK_2);
    await expectSession();
    await client.expectRoll(...SDK_1);
    await expectSession();
    await client.close();
  });

  test('is served by pods of both versions at the same time, if those of version 2 refuse 2026-07-28', async () => {
    const [old] = cluster.pods;
    const both = [await cluster.addExtraPod(...SDK_2, '--refuse-modern'), old!];
    // Whichever pod it meets first.
    for (const pods of [both, both.toReversed()]) {
      cluster.proxy.setPods(pods.map(({ port }) => port));
      const client = new ObservedClient(cluster);
      await client.connect(connect);
      await client.expectService(pods);
      expect(client.sessionId).toEqual(expect.any(String));
      await client.close();
    }
  });
});
