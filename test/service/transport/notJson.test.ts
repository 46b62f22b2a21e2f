import { InMemoryEventStore, InMemorySessionBus, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { createMcpHandler, type McpHandlerOptions } from 'mcp-sdk-anypod/server';
import { Server } from 'mcp-sdk-upstream/server/index.js';
import { CallToolRequestSchema } from 'mcp-sdk-upstream/types.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { listen } from '../../support/servers/listen.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';

const cycle: Record<string, unknown> = {};
cycle.itself = cycle;

const values = { BigInt: { value: 1n }, cycle };

/** A pod whose tool answers, tells or asks with what is not JSON. */
async function start(options: McpHandlerOptions) {
  const errors: string[] = [];
  const handler = createMcpHandler(
    () => {
      const server = new Server({ name: 'odd', version: '1' }, { capabilities: { tools: {}, logging: {} } });
      server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
        const odd = values[params.arguments!.value as keyof typeof values];
        const rejected = (sent: Promise<unknown>) => sent.then(() => 'sent').catch((error: Error) => error.name);
        const note = { method: 'notifications/odd', params: odd } as never;
        const question = { method: 'ping', params: odd } as never;
        const said = async (): Promise<string> => {
          switch (params.name) {
            case 'tell':
              return rejected(extra.sendNotification(note));
            case 'tell GET':
              return rejected(server.notification(note));
            case 'ask':
              return rejected(extra.sendRequest(question, {} as never));
            default:
              return rejected(server.request(question, {} as never));
          }
        };
        if (params.name === 'answer') return { content: [], _meta: odd };
        return { content: [{ type: 'text', text: await said() }] };
      });
      return server;
    },
    { ...options, onerror: error => errors.push(error.name) }
  );
  const { origin, stop } = await listen((req, res) => void handler.node(req, res));
  stopAfterTest(stop, () => handler.close({ drainMs: 0 }));
  return { origin, errors, handler };
}

describe.each(Object.keys(values))('a %s', value => {
  const external = () => ({ sessionStore: new InMemorySessionStore(), sessionBus: new InMemorySessionBus() });

  test.each([
    ['on a stream', () => ({})],
    ['in JSON', () => ({ enableJsonResponse: true })],
    ['on a stream, in external mode', external],
    ['on a stream that is logged', () => ({ ...external(), eventStore: new InMemoryEventStore() })]
  ])('is answered with an error as a result: %s', async (_where, options) => {
    const pod = await start(options());
    const client = await new RawClient().open(pod.origin);
    const { messages } = await client.request(pod.origin, 'tools/call', { name: 'answer', arguments: { value } });
    expect(messages.map(({ error }) => error?.code)).toEqual([-32603]);
    expect(pod.errors).toEqual(['TypeError']);
    // A request that is open would be waited for.
    await pod.handler.close({ drainMs: 600_000 });
  });

  test.each(['tell', 'tell GET', 'ask', 'ask GET'])('rejects the send of a message: %s', async name => {
    for (const options of [external(), { ...external(), eventStore: new InMemoryEventStore() }]) {
      const pod = await start(options);
      const client = await new RawClient().open(pod.origin);
      expect(await client.callTool(pod.origin, name, { value })).toBe('TypeError');
      expect(pod.errors).toEqual(['TypeError']);
    }
  });
});
