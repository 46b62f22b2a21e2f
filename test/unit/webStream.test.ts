import { createMcpHandler, McpServer } from 'mcp-sdk-anypod/server';
import { until } from '../support/until.js';

const clientInfo = { name: 'unit', version: '1' };
const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
const jsonHeaders = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };

function post(message: object, sessionId?: string): Request {
  const headers = { ...jsonHeaders, ...(sessionId && { 'mcp-session-id': sessionId }) };
  return new Request('http://localhost/mcp', { method: 'POST', headers, body: JSON.stringify(message) });
}

type StreamConstructor = new (source: UnderlyingDefaultSource, strategy?: QueuingStrategy) => ReadableStream;

const RealStream = globalThis.ReadableStream as StreamConstructor;
afterEach(() => void (globalThis.ReadableStream = RealStream as typeof ReadableStream));

/** As some runtimes do: a client that has left is noticed inside `enqueue`, which then runs `cancel`. */
function cancelInsideEnqueue(isCancelled: () => boolean): void {
  globalThis.ReadableStream = class extends RealStream {
    constructor(source: UnderlyingDefaultSource, strategy?: QueuingStrategy) {
      super(
        {
          ...source,
          start(controller) {
            const wrapped = {
              get desiredSize() {
                return controller.desiredSize;
              },
              enqueue(chunk: unknown) {
                controller.enqueue(chunk);
                if (isCancelled()) void source.cancel?.();
              },
              close: () => controller.close(),
              error: (reason: unknown) => controller.error(reason)
            };
            return source.start?.(wrapped as ReadableStreamDefaultController) as void;
          }
        },
        strategy
      );
    }
  } as unknown as typeof ReadableStream;
}

test('a tool continues if its client leaves while an event is enqueued, and a drain does not wait for the client', async () => {
  let isCancelled = false;
  let hasFinished = false;
  cancelInsideEnqueue(() => isCancelled);
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'probe', version: '1' }, { capabilities: { logging: {} } });
    server.registerTool('talk', {}, async ({ sendNotification }) => {
      isCancelled = true;
      // More than waits for a reader.
      const data = 'x'.repeat(100_000);
      await sendNotification({ method: 'notifications/message', params: { level: 'info', data } });
      hasFinished = true;
      return { content: [] };
    });
    return server;
  });
  const opened = await handler.fetch(post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }));
  const sessionId = opened.headers.get('mcp-session-id')!;
  await opened.text();
  await handler.fetch(post({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'talk' } }, sessionId));
  await until('the tool has finished', () => hasFinished);
  const start = performance.now();
  await handler.close({ drainMs: 20_000 });
  expect(performance.now() - start).toBeLessThan(10_000);
});
