import { acceptedContent, inputRequired, McpServer as McpServerV2 } from '@modelcontextprotocol/server';
import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema
} from 'mcp-sdk-upstream/types.js';
import {
  createMcpHandler as createVersion1,
  McpServer,
  RedisEventStore,
  RedisSessionStore,
  sessionState as stateOfVersion1
} from 'mcp-sdk-anypod/server';
import * as z from 'zod/v4';
import { createMcpHandler as createVersion2, sessionState as stateOfVersion2 } from '../../../src/v2/index.js';
import { listen } from '../../support/servers/listen.js';
import { startRoundRobin } from '../../support/servers/roundRobin.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { until } from '../../support/until.js';

const info = { name: 'mixed', version: '1' };
const capabilities = { tools: { listChanged: true }, logging: {} };
const requestedSchema = {
  type: 'object' as const,
  properties: { confirm: { type: 'boolean' as const } },
  required: ['confirm']
};
const text = (value: unknown) => ({ content: [{ type: 'text' as const, text: String(value) }] });

function version1(): McpServer {
  const server = new McpServer(info, { capabilities });
  server.registerTool('count', {}, async extra =>
    text(`1: ${await stateOfVersion1<number>(extra).update(old => (old ?? 0) + 1)}`)
  );
  server.registerTool('confirm', {}, async () => {
    const { content } = await server.server.elicitInput({ message: 'Really?', requestedSchema });
    return text(`1: ${String(content?.confirm)}`);
  });
  server.registerTool('log', {}, async ({ sessionId }) => {
    await server.sendLoggingMessage({ level: 'info', data: '1' }, sessionId);
    return text('1');
  });
  return server;
}

function version2(): McpServerV2 {
  const server = new McpServerV2(info, { capabilities });
  server.registerTool('count', {}, async ctx =>
    text(`2: ${await stateOfVersion2<number>(ctx).update(old => (old ?? 0) + 1)}`)
  );
  server.registerTool('confirm', {}, async ctx => {
    const answer = acceptedContent(ctx.mcpReq.inputResponses, 'confirm', z.object({ confirm: z.boolean() }));
    if (answer) return text(`2: ${answer.confirm}`);
    const confirm = inputRequired.elicit({ message: 'Really?', requestedSchema });
    return inputRequired({ inputRequests: { confirm } });
  });
  server.registerTool('log', {}, async ctx => {
    await ctx.mcpReq.log('info', '2');
    return text('2');
  });
  return server;
}

const redis = useRedis({ socketTimeout: 5000 });

test('a pod with version 1 of the SDK and a pod with version 2 serve the same session', async () => {
  const options = () => ({
    sessionStore: new RedisSessionStore({ redis: redis.client }),
    eventStore: new RedisEventStore({ redis: redis.client }),
    onerror: (error: Error) => void problems.push(error)
  });
  const problems: Error[] = [];
  const handlers = [createVersion1(version1, options()), createVersion2(version2, options())];
  const pods = await Promise.all(handlers.map(handler => listen((req, res) => void handler.node(req, res))));
  const balancer = await startRoundRobin(pods.map(({ port }) => port));
  const client = new Client({ name: 'old', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, async () => ({ action: 'accept', content: { confirm: true } }));
  let changes = 0;
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes++);
  const logged: unknown[] = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params.data));
  try {
    const transport = new StreamableHTTPClientTransport(new URL(`${balancer.origin}/mcp`));
    await client.connect(transport);
    const call = async (name: string): Promise<string> => {
      const { content } = await client.callTool({ name });
      return (content as { text: string }[])[0]!.text;
    };

    const counts = [];
    for (let i = 0; i < 6; i++) counts.push(await call('count'));
    expect(counts.map(count => count.slice(3))).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(new Set(counts.map(count => count[0]))).toEqual(new Set(['1', '2']));

    const answers = new Set<string>();
    for (let i = 0; i < 8 && answers.size < 2; i++) {
      answers.add(await call('confirm'));
      // The question and its answer take two requests: another one lets the next question come from the other pod.
      await call('count');
    }
    expect(answers).toEqual(new Set(['1: true', '2: true']));

    for (const handler of handlers) {
      const before = changes;
      await handler.notify.toolsChanged();
      await until('the client has the notification', () => changes > before);
    }

    // The pods take turns, so each log level is set on one of them and holds on both.
    for (const level of ['error', 'debug'] as const) {
      await client.setLoggingLevel(level);
      expect([await call('log'), await call('log')].sort()).toEqual(['1', '2']);
    }
    await until('both messages of the second round are there', () => logged.length >= 2);
    await call('count');
    expect(logged.sort()).toEqual(['1', '2']);

    await transport.terminateSession();
    await until('no pod has the session', () => handlers.every(({ liveSessions }) => liveSessions === 0));
    expect(problems).toEqual([]);
  } finally {
    await client.close();
    await balancer.stop();
    await Promise.all(pods.map(pod => pod.stop()));
    await Promise.all(handlers.map(handler => handler.close({ drainMs: 0 })));
  }
});
