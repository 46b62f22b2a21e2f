import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { LATEST_PROTOCOL_VERSION } from 'mcp-sdk-upstream/types.js';
import type { WhoAmI } from '../support/pods/probeServer.js';
import { RawClient } from '../support/clients/rawClient.js';
import { useCluster, journalOf } from './cluster.js';

const cluster = useCluster(3);

const clientInfo = { name: 'a real client', version: '7.0.1' };
const capabilities = { sampling: {}, roots: { listChanged: true }, elicitation: {} };

/** The SDK's own client talks to whichever pods the round robin picks; returns what each call was told. */
async function converse(path: string, podCount: number): Promise<WhoAmI[]> {
  cluster.proxy.setPods(cluster.pods.slice(0, podCount).map(pod => pod.port));
  const client = new Client(clientInfo, { capabilities });
  const transport = new StreamableHTTPClientTransport(new URL(`${cluster.proxy.origin}/${path}`));
  await client.connect(transport);
  try {
    const told: WhoAmI[] = [];
    for (let i = 0; i < 3 * podCount; i++) {
      const { content } = await client.callTool({ name: 'whoami' });
      told.push(JSON.parse((content as { text: string }[])[0]!.text) as WhoAmI);
    }
    await client.ping();
    expect(told.map(({ sessionId }) => sessionId)).toEqual(told.map(() => transport.sessionId));
    return told;
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}

// Promise: L1
test.each([
  ['McpServer', 'mcp', 2],
  ['McpServer', 'mcp', 3],
  ['the low-level Server', 'low', 2],
  ['the low-level Server', 'low', 3],
  ['McpServer with transports that are wired by hand', 'hand', 2],
  ['McpServer with transports that are wired by hand', 'hand', 3]
])('%s at /%s: a session that began on one of %i pods works on all of them', async (_kind, path, podCount) => {
  const told = await converse(path, podCount);
  expect(new Set(told.map(({ pid }) => pid)).size).toBe(podCount);
  for (const { client, capabilities: seen } of told) {
    expect(client).toEqual(clientInfo);
    expect(seen).toEqual(expect.objectContaining({ ...capabilities, elicitation: expect.anything() as unknown }));
  }
});

test.each([2, 3])('a conversation without a shared store fails on %i pods', async podCount => {
  await expect(converse('alone', podCount)).rejects.toMatchObject({ code: 404 });
});

test.each([
  ['2024-11-05', '2024-11-05'],
  ['2025-06-18', '2025-06-18'],
  ['banana', LATEST_PROTOCOL_VERSION]
])('a client that asks for version %s has %s on every pod', async (asked, negotiated) => {
  const client = await new RawClient().open(`${cluster.first.origin}/mcp`, { protocolVersion: asked });
  expect(client.protocolVersion).toBe(negotiated);
  expect(await client.callTool(`${cluster.second.origin}/mcp`, 'echo', { text: 'hello' })).toBe('hello');

  const replayed = (await journalOf(cluster.second, client.sessionId)).find(({ name }) => name === 'initialize');
  expect(replayed).toMatchObject({ again: true, params: { protocolVersion: negotiated, clientInfo: { name: 'raw' } } });
});

test("the Node and the web-standard handler serve each other's sessions", async () => {
  const overNode = await new RawClient().open(`${cluster.first.origin}/mcp`);
  expect(await overNode.callTool(`${cluster.second.origin}/fetch`, 'echo', { text: 'a' })).toBe('a');
  expect(await overNode.callTool(`${cluster.second.origin}/mcp`, 'echo', { text: 'b' })).toBe('b');

  const overFetch = await new RawClient().open(`${cluster.second.origin}/fetch`);
  expect(await overFetch.callTool(`${cluster.first.origin}/mcp`, 'echo', { text: 'c' })).toBe('c');
  const stream = await overFetch.stream(`${cluster.first.origin}/fetch`);
  expect(stream.status).toBe(200);
  expect((await overFetch.delete(`${cluster.second.origin}/fetch`)).status).toBe(200);
  expect(await overFetch.callTool(`${cluster.first.origin}/mcp`, 'echo', { text: 'd' })).toBe(404);
  stream.close();
});

test('requests that reach several pods at the same moment are all answered', async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/mcp`);
  const calls = Array.from({ length: 30 }, (_, i) =>
    client.callTool(`${cluster.pods[i % 3]!.origin}/mcp`, 'echo', { text: i })
  );
  expect(await Promise.all(calls)).toEqual(calls.map((_, i) => String(i)));
});
