import { createMcpHandler, InMemorySessionStore, McpServer } from 'mcp-sdk-anypod/server';
import { WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server/webStandardStreamableHttp.js';

const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'client', version: '1' } }
};

test('a warning says once that a session was recovered by a second transport of the process', async () => {
  const sessionStore = new InMemorySessionStore();
  const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const makeServer = (): McpServer => new McpServer({ name: 'shop', version: '1.0.0' });
  const transports: WebStandardStreamableHTTPServerTransport[] = [];
  const handWired = async (request: Request): Promise<Response> => {
    const transport = new WebStandardStreamableHTTPServerTransport({ sessionStore });
    transports.push(transport);
    await makeServer().connect(transport);
    return transport.handleRequest(request);
  };
  const handlers = [0, 1, 2].map(() => createMcpHandler(makeServer, { sessionStore }));
  const ping = async (serve: (request: Request) => Promise<Response>, sessionId: string): Promise<void> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'ping' });
    const named = { ...headers, 'mcp-session-id': sessionId };
    const response = await serve(new Request('http://localhost/mcp', { method: 'POST', headers: named, body }));
    expect(response.status).toBe(200);
    await response.text();
  };
  const opened = await handlers[0]!.fetch(
    new Request('http://localhost/mcp', { method: 'POST', headers, body: JSON.stringify(initialize) })
  );
  const sessionId = opened.headers.get('mcp-session-id')!;

  // Several pods in one process, each of which keeps its transport.
  for (const handler of handlers) await ping(request => handler.fetch(request), sessionId);
  // A transport that is closed before the next one recovers the session.
  await ping(handWired, sessionId);
  await transports[0]!.close();
  await ping(handWired, sessionId);
  expect(emitWarning).not.toHaveBeenCalled();

  for (let request = 0; request < 3; request++) await ping(handWired, sessionId);
  expect(emitWarning.mock.calls.map(([, options]) => options)).toEqual([
    { type: 'AnypodWarning', code: 'ANYPOD_SECOND_TRANSPORT' }
  ]);

  emitWarning.mockRestore();
  await Promise.all([...transports, ...handlers].map(each => each.close()));
});
