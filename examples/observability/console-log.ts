/** `onLog` for `console`, one JSON object a line: `PORT=3001 npx tsx examples/observability/console-log.ts` */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMcpHandler, InMemorySessionStore, McpServer, type OnLogEvent } from 'mcp-sdk-anypod/server';

const onLog: OnLogEvent = (level, event, fields) => {
  // `debug` is for a closer look: sessions forgotten, streams opened and closed, requests refused.
  if (level !== 'debug') console[level](JSON.stringify({ time: new Date().toISOString(), level, event, ...fields }));
};

const handler = createMcpHandler(() => new McpServer({ name: 'logs', version: '1.0.0' }, { capabilities: {} }), {
  sessionStore: new InMemorySessionStore(),
  onLog
});

const server = createServer((req, res) => void handler.node(req, res));
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
