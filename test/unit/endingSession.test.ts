import { jest } from '@jest/globals';
import { createMcpHandler, InMemorySessionBus, InMemorySessionStore } from 'mcp-sdk-anypod';
import { Server } from 'mcp-sdk-anypod/server';
import { until } from '../support/until.js';

/** A session on a pod that trusts its sessions, after its first request. */
async function startTrustingPod(sessionStore: InMemorySessionStore, bus = new InMemorySessionBus()) {
  const handler = createMcpHandler(() => new Server({ name: 'unit', version: '1' }, { capabilities: {} }), {
    sessionStore,
    sessionBus: bus,
    sessionFreshnessMs: 5000,
    storeTimeoutMs: 30_000,
    onerror: () => {}
  });
  let id: string | undefined;
  const request = async (method: string, body?: object): Promise<Response> => {
    const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' });
    if (id !== undefined) headers.set('mcp-session-id', id);
    const text = body ? JSON.stringify({ jsonrpc: '2.0', ...body }) : null;
    const response = await handler.fetch(new Request('http://localhost/mcp', { method, headers, body: text }));
    id ??= response.headers.get('mcp-session-id') ?? undefined;
    return response;
  };
  const ping = async (): Promise<number> => (await request('POST', { id: 1, method: 'ping' })).status;
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'unit', version: '1' } };
  await request('POST', { id: 0, method: 'initialize', params });
  await request('POST', { method: 'notifications/initialized' });
  expect(await ping()).toBe(200);
  return { handler, ping, deleteSession: async () => (await request('DELETE')).status };
}

test('a pod that trusts its sessions serves none that it has removed, while it tells the other pods', async () => {
  const bus = new InMemorySessionBus();
  const publish = bus.publish.bind(bus);
  let goOn: (() => void) | undefined;
  bus.publish = async (topic, message) => {
    if (message.includes('"ended"')) await new Promise<void>(resolve => (goOn = resolve));
    await publish(topic, message);
  };
  const { handler, ping, deleteSession } = await startTrustingPod(new InMemorySessionStore(), bus);
  const deleted = deleteSession();
  await until('the pod tells the others', () => goOn !== undefined);
  expect(await ping()).toBe(404);
  goOn!();
  expect(await deleted).toBe(200);
  await handler.close();
});

test('a pod trusts a session again that was not removed, after the store has confirmed it', async () => {
  const sessionStore = new InMemorySessionStore();
  const { handler, ping, deleteSession } = await startTrustingPod(sessionStore);
  const remove = jest.spyOn(sessionStore, 'deleteSession').mockRejectedValueOnce(new Error('The store is away'));
  expect(await deleteSession()).toBe(503);
  expect(remove).toHaveBeenCalledTimes(1);
  const touch = jest.spyOn(sessionStore, 'touchSession');
  expect(await ping()).toBe(200);
  expect(touch).toHaveBeenCalledTimes(1);
  expect(await ping()).toBe(200);
  expect(touch).toHaveBeenCalledTimes(1);
  await handler.close();
});
