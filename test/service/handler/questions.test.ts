import { createMcpHandler, InMemorySessionStore, type McpHandler } from 'mcp-sdk-anypod/server';
import { Server } from 'mcp-sdk-upstream/server/index.js';
import { listen } from '../../support/servers/listen.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

/** Longer than the steps of a test take before the question is asked. */
const idleTimeoutMs = 2000;
const question = { messages: [], maxTokens: 1 };

interface AskingPod {
  readonly url: string;
  readonly handler: McpHandler;
  /** Of its one session. */
  readonly server: Server;
}

/** A pod whose session has no client attached. */
async function start(sessionStore: InMemorySessionStore): Promise<AskingPod> {
  let server: Server | undefined;
  const handler = createMcpHandler(
    () => (server = new Server({ name: 'asking', version: '1' }, { capabilities: {} })),
    { sessionStore, idleTimeoutMs }
  );
  const { origin, stop } = await listen((req, res) => void handler.node(req, res));
  stopAfterTest(stop, () => handler.close({ drainMs: 0 }));
  return {
    url: origin,
    handler,
    get server() {
      return server!;
    }
  };
}

async function startTwo() {
  const sessionStore = new InMemorySessionStore();
  const [asking, attached] = [await start(sessionStore), await start(sessionStore)];
  const client = await new RawClient().open(asking.url, { capabilities: { sampling: {} } });
  const stream = await client.stream(attached.url);
  const answer = async (id: unknown) => {
    const result = { model: 'm', role: 'assistant', content: { type: 'text', text: 'x' } };
    expect((await client.post(attached.url, { jsonrpc: '2.0', id, result })).status).toBe(202);
  };
  return { asking, client, stream, answer };
}

/** As long as an idle session would not be kept. */
async function untilIdleIsForgotten({ handler, url }: AskingPod): Promise<void> {
  const { liveSessions } = handler;
  await new RawClient().open(url);
  await until('an idle session is forgotten', () => handler.liveSessions <= liveSessions);
}

test('a session is forgotten only after the question of its server is answered', async () => {
  const { asking, stream, answer } = await startTwo();
  const asked = asking.server.createMessage(question);
  await until('the client is asked', () => stream.messages.length === 1);
  await untilIdleIsForgotten(asking);
  await answer(stream.messages[0]!.id);
  expect((await asked).model).toBe('m');
  await until('the session is forgotten', () => asking.handler.liveSessions === 0);
  stream.close();
});

test('a pod that shuts down waits for the answers to open questions', async () => {
  const { asking, stream, answer } = await startTwo();
  const asked = asking.server.createMessage(question);
  await until('the client is asked', () => stream.messages.length === 1);
  const closed = asking.handler.close({ drainMs: 10_000 });
  await answer(stream.messages[0]!.id);
  expect((await asked).model).toBe('m');
  await closed;
  stream.close();
});

test('a session is forgotten even if its server pings an absent client again and again', async () => {
  const { asking, stream } = await startTwo();
  const pinged = asking.server.ping().catch((error: Error) => error.message);
  await until('the client is asked', () => stream.messages.length === 1);
  await until('the session is forgotten', () => asking.handler.liveSessions === 0);
  expect(await pinged).toContain('Connection closed');
  stream.close();
});
