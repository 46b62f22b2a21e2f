/**
 * Bundled for browsers by the test, and then run: a session on two pods through `fetch`, and what the parts that need
 * Node say. Prints it as JSON.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { CallToolRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { createMcpHandler, createSessionServices, InMemorySessionStore } from '@modelcontextprotocol/sdk/server';

const sessionStore = new InMemorySessionStore();
const pods = [0, 1].map(pod =>
  createMcpHandler(
    () => {
      const server = new Server({ name: 'edge', version: '1' }, { capabilities: { tools: {} } });
      server.setRequestHandler(CallToolRequestSchema, () => ({ content: [{ type: 'text', text: `pod ${pod}` }] }));
      return server;
    },
    { sessionStore }
  )
);

let pod = 0;
const client = new Client({ name: 'client', version: '1' });
const fetch = (url, init) => pods[pod].fetch(new Request(url, init));
await client.connect(new StreamableHTTPClientTransport(new URL('http://pods.test/mcp'), { fetch }));
const answers = [];
for (pod of [0, 1]) {
  const { content } = await client.callTool({ name: 'where' });
  answers.push(content[0].text);
}
await client.close();
await Promise.all(pods.map(each => each.close({ drainMs: 0 })));

const failure = options => createSessionServices(options).then(String, ({ message }) => message);
const { close, ...memory } = await createSessionServices({ env: {} });
await close();
console.log(
  JSON.stringify({
    answers,
    redis: await failure({ env: { REDIS_URL: 'redis://127.0.0.1:1' } }),
    file: await failure({ env: { MCP_TS_STORAGE_TYPE: 'file', MCP_TS_STORAGE_FILE: '/nowhere' } }),
    memory: Object.keys(memory).filter(name => typeof memory[name] === 'object')
  })
);
