import { WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import type { JSONRPCMessage, RequestId } from 'mcp-sdk-upstream/types.js';
import { stopAfterTest } from '../support/stopAfterTest.js';

const call = (id: RequestId) => ({ jsonrpc: '2.0', id, method: 'test/call' });
const cancel = (requestId: RequestId) => ({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
const progress: JSONRPCMessage = { jsonrpc: '2.0', method: 'notifications/progress' };

/** A transport of one session whose server answers when it is told to. */
function connect(enableJsonResponse: boolean) {
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => 's',
    enableJsonResponse
  });
  stopAfterTest(() => transport.close());
  const asked: RequestId[] = [];
  transport.onmessage = message => {
    if (!('id' in message) || !('method' in message)) return;
    if (message.method === 'initialize') void answer(message.id);
    else asked.push(message.id);
  };
  const answer = (id: RequestId) => transport.send({ jsonrpc: '2.0', id, result: {} });
  const post = (body: unknown, headers: Record<string, string> = { 'mcp-session-id': 's' }) =>
    transport.handleRequest(
      new Request('http://localhost/mcp', {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...headers
        },
        body: JSON.stringify(body)
      })
    );
  const open = () => {
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'unit', version: '1' } };
    return post({ jsonrpc: '2.0', id: 0, method: 'initialize', params }, {});
  };
  return { transport, asked, answer, post, open };
}

test('after a cancelled request whose client has left, its notifications are dropped, and its requests and responses are refused', async () => {
  const { transport, post, open } = connect(false);
  await open();
  const response = await post(call(1));
  await post(cancel(1));
  await transport.send(progress, { relatedRequestId: 1 });
  await response.body?.cancel();
  await transport.send(progress, { relatedRequestId: 1 });
  for (const message of [call(9), { jsonrpc: '2.0', id: 1, result: {} }] as JSONRPCMessage[]) {
    await expect(transport.send(message, { relatedRequestId: 1 })).rejects.toThrow('No connection established');
  }
  await expect(transport.send(progress, { relatedRequestId: 2 })).rejects.toThrow('No connection established');
});

test('a later request with the same id is another request', async () => {
  const { answer, asked, post, open } = connect(false);
  await open();
  const left = await post(call(1));
  await post(cancel(1));
  await left.body?.cancel();
  const response = await post(call(1));
  await answer(1);
  expect(asked).toEqual([1, 1]);
  expect(await response.text()).toContain('"id":1');
});

test('a cancellation that comes before its request changes nothing, as in the server', async () => {
  const { answer, asked, post, open } = connect(true);
  await open();
  const answered = post([cancel(1), call(1)]);
  await new Promise(setImmediate);
  expect(asked).toEqual([1]);
  await answer(1);
  const response = await answered;
  expect([response.status, await response.json()]).toEqual([200, { jsonrpc: '2.0', id: 1, result: {} }]);
});

test('requests that share an id are kept apart from a request whose id looks like a substitute id', async () => {
  const { answer, asked, post, open } = connect(true);
  await open();
  const answers = ['1#1', 1, 1].map(id => post(call(id)));
  await new Promise(setImmediate);
  expect(new Set(asked).size).toBe(3);
  for (const id of asked) await answer(id);
  const bodies = await Promise.all(answers.map(async each => (await each).json() as Promise<{ id: RequestId }>));
  expect(bodies.map(({ id }) => id)).toEqual(['1#1', 1, 1]);
});
