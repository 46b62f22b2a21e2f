import { McpServer } from '@modelcontextprotocol/server';
import { Redis } from 'ioredis';
import {
  createMcpHandler as createFirstHandler,
  McpServer as FirstServer,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import * as z from 'zod/v4';
import { createMcpHandler } from '../../../src/v2/index.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { listen } from '../../support/servers/listen.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { useRedis } from '../../support/servers/useRedis.js';

const redis = useRedis();
const info = { name: 'counted', version: '1' };
const inputSchema = { text: z.string() };
const echo = ({ text }: { text: string }) => ({ content: [{ type: 'text' as const, text }] });

function firstServer(): FirstServer {
  const server = new FirstServer(info, { capabilities: { logging: {} } });
  server.registerTool('echo', { inputSchema }, echo);
  return server;
}

function secondServer(): McpServer {
  const server = new McpServer(info, { capabilities: { logging: {} } });
  server.registerTool('echo', { inputSchema: z.object(inputSchema) }, echo);
  return server;
}

const connect = (): Redis => new Redis(redis.server.url, { socketTimeout: 5000 });

/** What each exchange of one session on two pods costs Redis, by name. */
async function costs(version: '1' | '2'): Promise<Record<string, Record<string, number>>> {
  const clients = [connect(), connect()];
  const handlers = clients.map(client => {
    const sessionStore = new RedisSessionStore({ redis: client, keyPrefix: `${version}:` });
    return version === '1'
      ? createFirstHandler(firstServer, { sessionStore })
      : createMcpHandler(secondServer, { sessionStore });
  });
  const pods = await Promise.all(handlers.map(handler => listen((req, res) => void handler.node(req, res))));
  const [first, second] = pods.map(({ origin }) => `${origin}/mcp`) as [string, string];
  try {
    // A client sends the text of a script the first time, and from then on its digest.
    for (const url of [first, second]) await (await new RawClient().open(url)).delete(url);
    const client = new RawClient();
    const call = (url: string) => () => client.callTool(url, 'echo', { text: 'x' });
    const exchanges: [string, () => Promise<unknown>][] = [
      ['initialize', () => client.initialize(first)],
      ['the end of the handshake', () => client.notify(first, 'notifications/initialized')],
      ['the first call', call(first)],
      ['a call', call(first)],
      ['a recovery', call(second)],
      ['a call after the recovery', call(second)],
      ['a notification for all pods', () => client.notify(second, 'notifications/roots/list_changed')],
      ['a stream', async () => (await client.stream(second)).close()],
      ['DELETE', () => client.delete(second)]
    ];
    const found: Record<string, Record<string, number>> = {};
    for (const [name, exchange] of exchanges) {
      const { commands } = await spentOn(redis.client, exchange);
      // Nobody waits for the end of a subscription: it may be counted, or come later.
      delete commands.unsubscribe;
      found[name] = commands;
    }
    return found;
  } finally {
    await Promise.all(handlers.map(handler => handler.close({ drainMs: 0 })));
    await Promise.all(pods.map(pod => pod.stop()));
    clients.forEach(client => client.disconnect());
  }
}

test('each exchange of a 2025 client costs Redis the same commands on version 2 of the SDK as on version 1', async () => {
  const found = await costs('2');
  expect(found['a call']).toEqual({ getex: 1 });
  expect(found['a call after the recovery']).toEqual({ getex: 1 });
  expect(found).toEqual(await costs('1'));
});
