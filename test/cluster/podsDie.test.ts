import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import type { Pod } from '../support/pods/process.js';
import type { WhoAmI } from '../support/pods/probeServer.js';
import { RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { Cluster, journalOf } from './cluster.js';

let cluster: Cluster;
beforeEach(async () => void (cluster = await new Cluster().start(2)));
afterEach(() => cluster.stop());

async function untilCalled(pod: Pod, client: RawClient, tool: string): Promise<void> {
  await until(`${tool} runs`, async () =>
    (await journalOf(pod, client.sessionId)).some(({ what, name }) => what === 'tool' && name === tool)
  );
}

// Promise: F8
test('after a pod is killed during a request, the next request succeeds on another pod', async () => {
  const [first, second] = cluster.pods as [Pod, Pod];
  const client = await new RawClient().open(`${first.origin}/mcp`);
  const cut = expect(client.callTool(`${first.origin}/mcp`, 'slow', { ms: 60_000 })).rejects.toThrow();
  await untilCalled(first, client, 'slow');
  await first.stop('SIGKILL');
  await cut;
  expect(await client.callTool(`${second.origin}/mcp`, 'echo', { text: 'on it goes' })).toBe('on it goes');
});

test('a client notices nothing if all pods are killed and replaced', async () => {
  const client = new Client({ name: 'survivor', version: '1' }, { capabilities: { roots: {} } });
  const transport = new StreamableHTTPClientTransport(new URL(`${cluster.proxy.origin}/mcp`));
  await client.connect(transport);
  const whoAmI = async () => {
    const { content } = await client.callTool({ name: 'whoami' });
    return JSON.parse((content as { text: string }[])[0]!.text) as WhoAmI;
  };
  const before = await whoAmI();

  const old = [...cluster.pods];
  const fresh = await cluster.addPods(2);
  await Promise.all(old.map(pod => pod.stop('SIGKILL')));
  cluster.proxy.setPods(fresh.map(pod => pod.port));

  const after = [await whoAmI(), await whoAmI()];
  expect(new Set(after.map(({ pid }) => pid))).toEqual(new Set(fresh.map(({ pid }) => pid)));
  for (const told of after) expect(told).toEqual({ ...before, pid: told.pid });
  await client.close();
});

test('a pod that gets SIGTERM answers the requests it has begun and refuses new ones', async () => {
  const [first, second] = cluster.pods as [Pod, Pod];
  const client = await new RawClient().open(`${first.origin}/mcp`);
  const stream = await client.stream(`${first.origin}/mcp`);
  const slow = client.callTool(`${first.origin}/mcp`, 'slow', { ms: 1000 });
  await untilCalled(first, client, 'slow');
  const left = first.stop('SIGTERM');
  await stream.ended;
  const turnedAway = await client.request(`${first.origin}/mcp`, 'ping');
  expect([turnedAway.status, turnedAway.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await client.callTool(`${second.origin}/mcp`, 'echo', { text: 'elsewhere' })).toBe('elsewhere');
  expect(await slow).toBe('done');
  expect(await left).toBe(0);
});
