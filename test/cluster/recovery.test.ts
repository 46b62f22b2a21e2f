import { randomUUID } from 'node:crypto';
import { post, RawClient } from '../support/clients/rawClient.js';
import { useCluster, journalOf, serversMadeOn } from './cluster.js';

const cluster = useCluster(2);

test.each(['mcp', 'slow', 'hand'])('/%s: 20 first requests at once make one server and one recovery', async path => {
  const client = await new RawClient().open(`${cluster.first.origin}/${path}`);
  const before = await serversMadeOn(cluster.second);
  const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`);
  const answers = await Promise.all(
    texts.map(text => client.callTool(`${cluster.second.origin}/${path}`, 'echo', { text }))
  );
  expect(answers).toEqual(texts);

  expect((await serversMadeOn(cluster.second)) - before).toBe(1);
  const journal = await journalOf(cluster.second, client.sessionId);
  expect(journal.filter(({ what }) => what === 'onsessionrecovered')).toHaveLength(1);
  expect(journal.filter(({ what }) => what === 'onsessioninitialized')).toHaveLength(0);
  expect(journal.filter(({ name }) => name === 'initialize')).toHaveLength(1);
});

test('a recovering server gets the handshake as its client sent it, marked as replayed', async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/mcp`);
  await client.callTool(`${cluster.second.origin}/mcp`, 'echo', { text: 'x' });
  const steps = (await journalOf(cluster.second, client.sessionId)).map(({ what, name, again }) => ({
    what,
    name,
    again
  }));
  expect(steps).toEqual([
    { what: 'message', name: 'initialize', again: true },
    { what: 'message', name: 'notifications/initialized', again: true },
    { what: 'oninitialized' },
    { what: 'onsessionrecovered' },
    { what: 'message', name: 'tools/call', again: false },
    { what: 'tool', name: 'echo' }
  ]);
  const opened = (await journalOf(cluster.first, client.sessionId)).map(({ what, name, again }) => ({
    what,
    name,
    again
  }));
  expect(opened).toEqual([
    { what: 'onsessioninitialized' },
    { what: 'message', name: 'initialize', again: false },
    { what: 'message', name: 'notifications/initialized', again: false },
    { what: 'oninitialized' }
  ]);
  const factories = (await journalOf(cluster.second)).filter(({ what }) => what === 'factory');
  expect(factories.at(-1)).toMatchObject({ again: true });
});

test('a session whose client has not finished its handshake finishes it on another pod', async () => {
  const client = new RawClient();
  await client.initialize(`${cluster.first.origin}/mcp`);
  expect((await client.notify(`${cluster.second.origin}/mcp`, 'notifications/initialized')).status).toBe(202);
  const journal = await journalOf(cluster.second, client.sessionId);
  const initialized = journal.filter(({ name }) => name === 'notifications/initialized');
  expect(initialized).toEqual([expect.objectContaining({ again: false })]);
  expect(journal.filter(({ what }) => what === 'oninitialized')).toHaveLength(1);
  // The pod where it began learns of it from its next exchange at the latest.
  expect(await client.callTool(`${cluster.first.origin}/mcp`, 'echo', { text: 'x' })).toBe('x');
});

// Promise: L3, F1
test('unknown and malformed session ids are answered 404 and make no server and no record', async () => {
  const before = [await serversMadeOn(cluster.first), await cluster.backend.size()];
  const bogus = [randomUUID(), 'x'.repeat(257), '{', '*', '../etc', 'ä', '{}:record', '__proto__'];
  for (const sessionId of bogus) {
    const client = new RawClient({ 'mcp-session-id': sessionId });
    const answer = await client.request(`${cluster.first.origin}/mcp`, 'tools/list');
    expect([answer.status, answer.messages[0]?.error]).toEqual([404, { code: -32001, message: 'Session not found' }]);
    expect((await client.stream(`${cluster.first.origin}/mcp`)).status).toBe(404);
    expect((await client.notify(`${cluster.first.origin}/mcp`, 'notifications/initialized')).status).toBe(404);
    expect((await client.delete(`${cluster.first.origin}/mcp`)).status).toBe(404);
  }
  expect([await serversMadeOn(cluster.first), await cluster.backend.size()]).toEqual(before);
});

test('an initialize with a stale session id opens a new session', async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/mcp`);
  const stale = client.sessionId!;
  await client.delete(`${cluster.first.origin}/mcp`);
  for (const sessionId of [stale, randomUUID(), 'no session id at all, ever']) {
    const answer = await new RawClient({ 'mcp-session-id': sessionId }).initialize(`${cluster.second.origin}/mcp`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('mcp-session-id')).not.toBe(sessionId);
  }
});

test('an initialize with the id of a live session is refused on every pod', async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/mcp`);
  for (const pod of [cluster.first, cluster.second, cluster.first]) {
    const again = new RawClient({ 'mcp-session-id': client.sessionId! });
    const answer = await again.initialize(`${pod.origin}/mcp`);
    expect([answer.status, answer.messages[0]?.error?.code]).toEqual([400, -32600]);
    expect(await client.callTool(`${pod.origin}/mcp`, 'echo', { text: 'still here' })).toBe('still here');
  }
});

// Promise: F2
test('a request without a session id that opens none is answered 400', async () => {
  const answer = await post(`${cluster.first.origin}/mcp`, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
  expect([answer.status, answer.messages[0]?.error?.message]).toEqual([
    400,
    'Bad Request: Mcp-Session-Id header is required'
  ]);
});
