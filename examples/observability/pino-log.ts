/** `onLog` for pino: `PORT=3001 npx tsx examples/observability/pino-log.ts` */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMcpHandler, InMemorySessionStore, McpServer, type OnLogEvent } from 'mcp-sdk-anypod/server';
import { pino } from 'pino';

const logger = pino({ level: process.env.LOG_LEVEL ?? 'info' });

const onLog: OnLogEvent = (level, event, fields) => logger[level]({ event, ...fields }, event);

const handler = createMcpHandler(() => new McpServer({ name: 'logs', version: '1.0.0' }, { capabilities: {} }), {
  sessionStore: new InMemorySessionStore(),
  onLog
});

const server = createServer((req, res) => void handler.node(req, res));
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
