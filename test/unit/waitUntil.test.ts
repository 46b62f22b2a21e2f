import { createMcpHandler, InMemoryEventStore, InMemorySessionStore, McpServer } from 'mcp-sdk-anypod/server';
import { until } from '../support/until.js';

const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const post = (message: object, session: Record<string, string> = {}) =>
  new Request('http://pod.test/mcp', {
    method: 'POST',
    headers: { ...headers, ...session },
    body: JSON.stringify({ jsonrpc: '2.0', ...message })
  });

/** A pod with a tool that ends when `end` is called, and a session on it. */
async function openSession(enableJsonResponse: boolean, eventStore?: InMemoryEventStore) {
  let end!: () => void;
  const ended = new Promise<void>(resolve => (end = resolve));
  const handler = createMcpHandler(
    () => {
      const server = new McpServer({ name: 'pod', version: '1.0.0' });
      server.registerTool('wait', {}, async () => ended.then(() => ({ content: [] })));
      return server;
    },
    { sessionStore: new InMemorySessionStore(), eventStore, enableJsonResponse }
  );
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'client', version: '1' } };
  const opened = await handler.fetch(post({ id: 1, method: 'initialize', params }));
  await opened.text();
  return { handler, end, session: { 'mcp-session-id': opened.headers.get('mcp-session-id')! } };
}

test.each([false, true])(
  'the work of a request lasts until its tool has ended (JSON: %s)',
  async enableJsonResponse => {
    const { handler, end, session } = await openSession(enableJsonResponse);
    const works: Promise<unknown>[] = [];
    let isOver = false;
    const request = post({ id: 2, method: 'tools/call', params: { name: 'wait' } }, session);
    const response = handler.fetch(request, { waitUntil: work => void works.push(work) });
    await new Promise(setImmediate);
    expect(works).toHaveLength(1);
    void works[0]!.then(() => (isOver = true));
    // The client hangs up: a stream is cancelled, and a JSON body has not begun.
    if (!enableJsonResponse) await (await response).body!.cancel();
    await new Promise(resolve => setTimeout(resolve, 20));
    expect(isOver).toBe(false);
    end();
    await works[0];
    expect(isOver).toBe(true);
    await handler.close({ drainMs: 0 });
  }
);

test('the context of a Worker can be given as the options: its method keeps its object', async () => {
  const { handler, session } = await openSession(false);
  const context = {
    works: 0,
    waitUntil() {
      this.works++;
    }
  };
  await handler.fetch(post({ id: 2, method: 'ping' }, session), context);
  expect(context.works).toBe(1);
  await handler.close({ drainMs: 0 });
});

test('a waitUntil that is not a function is refused', async () => {
  const { handler, session } = await openSession(false);
  const wrong = { waitUntil: 'yes' as never };
  await expect(handler.fetch(post({ id: 2, method: 'ping' }, session), wrong)).rejects.toThrow('waitUntil');
  await handler.close({ drainMs: 0 });
});

test('the work of a request includes a call of a store that its reply did not wait for', async () => {
  let deleted!: () => void;
  const eventStore = Object.assign(new InMemoryEventStore(), {
    deleteStreams: () => new Promise<void>(resolve => (deleted = resolve))
  });
  const { handler, session } = await openSession(false, eventStore);
  let isOver = false;
  const waitUntil = (work: Promise<unknown>) => void work.then(() => (isOver = true));
  const request = new Request('http://pod.test/mcp', { method: 'DELETE', headers: { ...headers, ...session } });
  expect((await handler.fetch(request, { waitUntil })).status).toBe(200);
  await new Promise(setImmediate);
  expect(isOver).toBe(false);
  deleted();
  await until('the work is over', () => isOver);
  await handler.close({ drainMs: 0 });
});
