import { randomUUID } from 'node:crypto';
import type { Pod } from '../support/pods/process.js';
import { post, RawClient } from '../support/clients/rawClient.js';
import { Cluster, journalOf, serversMadeOn } from './cluster.js';

let cluster: Cluster;
let first: Pod;
let second: Pod;
beforeAll(async () => {
  cluster = await Cluster.start(2);
  [first, second] = cluster.pods as [Pod, Pod];
});
afterAll(() => cluster.stop());

test.each(['mcp', 'slow', 'hand'])('/%s: 20 first requests at once make one server and one recovery', async path => {
  const client = await new RawClient().open(`${first.origin}/${path}`);
  const before = await serversMadeOn(second);
  const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`);
  const answers = await Promise.all(texts.map(text => client.callTool(`${second.origin}/${path}`, 'echo', { text })));
  expect(answers).toEqual(texts);

  expect((await serversMadeOn(second)) - before).toBe(1);
  const journal = await journalOf(second, client.sessionId);
  expect(journal.filter(({ what }) => what === 'onsessionrecovered')).toHaveLength(1);
  expect(journal.filter(({ what }) => what === 'onsessioninitialized')).toHaveLength(0);
  expect(journal.filter(({ name }) => name === 'initialize')).toHaveLength(1);
});

test('a recovering server is told of the handshake as if its client had made it there, with a mark', async () => {
  const client = await new RawClient().open(`${first.origin}/mcp`);
  await client.callTool(`${second.origin}/mcp`, 'echo', { text: 'x' });
  const steps = (await journalOf(second, client.sessionId)).map(({ what, name, again }) => ({ what, name, again }));
  expect(steps).toEqual([
    { what: 'message', name: 'initialize', again: true },
    { what: 'message', name: 'notifications/initialized', again: true },
    { what: 'oninitialized' },
    { what: 'onsessionrecovered' },
    { what: 'message', name: 'tools/call', again: false },
    { what: 'tool', name: 'echo' }
  ]);
  const opened = (await journalOf(first, client.sessionId)).map(({ what, name, again }) => ({ what, name, again }));
  expect(opened).toEqual([
    { what: 'onsessioninitialized' },
    { what: 'message', name: 'initialize', again: false },
    { what: 'message', name: 'notifications/initialized', again: false },
    { what: 'oninitialized' }
  ]);
  const factories = (await journalOf(second)).filter(({ what }) => what === 'factory');
  expect(factories.at(-1)).toMatchObject({ again: true });
});

test('a session whose client has not finished its handshake finishes it on another pod', async () => {
  const client = new RawClient();
  await client.initialize(`${first.origin}/mcp`);
  expect((await client.notify(`${second.origin}/mcp`, 'notifications/initialized')).status).toBe(202);
  const journal = await journalOf(second, client.sessionId);
  const initialized = journal.filter(({ name }) => name === 'notifications/initialized');
  expect(initialized).toEqual([expect.objectContaining({ again: false })]);
  expect(journal.filter(({ what }) => what === 'oninitialized')).toHaveLength(1);
  // The pod where it began learns of it from its next exchange at the latest.
  expect(await client.callTool(`${first.origin}/mcp`, 'echo', { text: 'x' })).toBe('x');
});

// Promise: L3, F1
test('unknown and malformed session ids are answered 404 and make no server and no record', async () => {
  const before = [await serversMadeOn(first), await cluster.backend.size()];
  const bogus = [randomUUID(), 'x'.repeat(257), '{', '*', '../etc', 'ä', '{}:record', '__proto__'];
  for (const sessionId of bogus) {
    const client = new RawClient({ 'mcp-session-id': sessionId });
    const answer = await client.request(`${first.origin}/mcp`, 'tools/list');
    expect([answer.status, answer.messages[0]?.error]).toEqual([404, { code: -32001, message: 'Session not found' }]);
    expect((await client.stream(`${first.origin}/mcp`)).status).toBe(404);
    expect((await client.notify(`${first.origin}/mcp`, 'notifications/initialized')).status).toBe(404);
    expect((await client.delete(`${first.origin}/mcp`)).status).toBe(404);
  }
  expect([await serversMadeOn(first), await cluster.backend.size()]).toEqual(before);
});

test('an initialize with a stale session id opens a new session', async () => {
  const client = await new RawClient().open(`${first.origin}/mcp`);
  const stale = client.sessionId!;
  await client.delete(`${first.origin}/mcp`);
  for (const sessionId of [stale, randomUUID(), 'no session id at all, ever']) {
    const answer = await new RawClient({ 'mcp-session-id': sessionId }).initialize(`${second.origin}/mcp`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('mcp-session-id')).not.toBe(sessionId);
  }
});

test('an initialize with the id of a live session is refused on every pod', async () => {
  const client = await new RawClient().open(`${first.origin}/mcp`);
  for (const pod of [first, second, first]) {
    const again = new RawClient({ 'mcp-session-id': client.sessionId! });
    const answer = await again.initialize(`${pod.origin}/mcp`);
    expect([answer.status, answer.messages[0]?.error?.code]).toEqual([400, -32600]);
    expect(await client.callTool(`${pod.origin}/mcp`, 'echo', { text: 'still here' })).toBe('still here');
  }
});

// Promise: F2
test('a request without a session id that opens none is answered 400', async () => {
  const answer = await post(`${first.origin}/mcp`, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
  expect([answer.status, answer.messages[0]?.error?.message]).toEqual([
    400,
    'Bad Request: Mcp-Session-Id header is required'
  ]);
});
