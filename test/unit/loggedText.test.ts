import { createMcpHandler, McpServer } from 'mcp-sdk-anypod/server';
import { INITIALIZE, INITIALIZED, JSON_HEADERS } from '../bench/client.js';

/** Counts how often the answers of its tool are written as JSON. */
function makeServer(onwritten: () => void): McpServer {
  const server = new McpServer({ name: 'counted', version: '1' });
  server.registerTool('count', {}, () => {
    const counted = { toJSON: () => (onwritten(), 'counted') };
    return { content: [{ type: 'text', text: 'done' }], _meta: { counted } };
  });
  return server;
}

test.each(['storeOnlyEvent', 'storeLastEvent'] as const)(
  'an answer is written as JSON once, and the text goes to %s of the event store and to the client',
  async method => {
    let writtenTimes = 0;
    const texts: (string | undefined)[] = [];
    let events = 0;
    const handler = createMcpHandler(() => makeServer(() => writtenTimes++), {
      eventStore: {
        storeEvent: async streamId => `${streamId}@${++events}`,
        replayEventsAfter: async () => '',
        ...(method === 'storeOnlyEvent' && { startEventId: (streamId: string) => `${streamId}@0` }),
        async [method](streamId: string, _message: unknown, text?: string) {
          texts.push(text);
          return `${streamId}@${++events}`;
        }
      }
    });
    const post = (message: object, headers: Record<string, string>): Promise<Response> =>
      handler.fetch(new Request('http://localhost/mcp', { method: 'POST', headers, body: JSON.stringify(message) }));
    try {
      const opened = await post(INITIALIZE, JSON_HEADERS);
      await opened.text();
      const headers = { ...JSON_HEADERS, 'mcp-session-id': opened.headers.get('mcp-session-id')! };
      await (await post(INITIALIZED, headers)).text();
      texts.length = 0;
      const answer = await post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'count' } }, headers);
      const body = await answer.text();
      expect(writtenTimes).toBe(1);
      expect(texts).toEqual([expect.stringContaining('"counted":"counted"')]);
      expect(body).toContain(`data: ${texts[0]}\n`);
    } finally {
      await handler.close();
    }
  }
);
