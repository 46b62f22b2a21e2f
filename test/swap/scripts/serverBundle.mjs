/** Bundled for browsers and workers by the test, and then run: a session on two pods through `fetch`. */
import { McpServer } from '@modelcontextprotocol/server';
import { createMcpHandler, createSessionServices, InMemorySessionStore } from 'mcp-server-anypod';

const sessionStore = new InMemorySessionStore();
const pods = [0, 1].map(pod =>
  createMcpHandler(
    () => {
      const server = new McpServer({ name: 'edge', version: '1' });
      server.registerTool('where', {}, () => ({ content: [{ type: 'text', text: `pod ${pod}` }] }));
      return server;
    },
    { sessionStore }
  )
);

async function post(pod, message, session) {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...session };
  const body = JSON.stringify({ jsonrpc: '2.0', ...message });
  return pods[pod].fetch(new Request('http://pods.test/mcp', { method: 'POST', headers, body }));
}

const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
const opened = await post(0, { id: 0, method: 'initialize', params });
await opened.text();
const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') };
await post(1, { method: 'notifications/initialized' }, session);
const answers = [];
for (const pod of [0, 1]) {
  const text = await (await post(pod, { id: 1, method: 'tools/call', params: { name: 'where' } }, session)).text();
  answers.push(JSON.parse(/^data: (.+)$/m.exec(text)[1]).result.content[0].text);
}
await Promise.all(pods.map(each => each.close({ drainMs: 0 })));
const redis = await createSessionServices({ env: { REDIS_URL: 'redis://127.0.0.1:1' } }).then(String, e => e.message);
console.log(JSON.stringify({ answers, redis }));
