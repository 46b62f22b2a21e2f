import { setTimeout as delay } from 'node:timers/promises';
import { InMemoryTaskStore } from 'mcp-sdk-upstream/experimental/tasks/stores/in-memory.js';
import {
  createMcpHandler,
  InMemorySessionStore,
  InvalidOptionError,
  McpServer,
  sessionState,
  StreamableHTTPServerTransport,
  type McpHandlerOptions,
  type RequestExtra,
  type SessionStore
} from 'mcp-sdk-anypod/server';
import { z } from 'zod';
import { listen, type Listening } from '../../support/servers/listen.js';
import { MapSessionStore } from '../../support/stores/mapSessionStore.js';
import { nodeListener } from '../../support/servers/nodeListener.js';
import { Journal, ProbeServer } from '../../support/pods/probeServer.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { until } from '../../support/until.js';

const started: { stop(): Promise<void> }[] = [];
afterEach(() => Promise.all(started.splice(0).map(each => each.stop())));

interface StartOptions extends McpHandlerOptions {
  kind?: 'McpServer' | 'Server';
  adapter?: 'Node' | 'web';
}

async function start({ kind = 'McpServer', adapter = 'Node', ...options }: StartOptions = {}) {
  const journal = new Journal();
  const handler = createMcpHandler(({ recovering }) => new ProbeServer(journal, kind, recovering), options);
  const listening: Listening = await listen(
    adapter === 'Node'
      ? (req, res) => void handler.node(req, res)
      : nodeListener((request, authInfo) => handler.fetch(request, { authInfo }))
  );
  const stop = async () => {
    await handler.close({ drainMs: 0 });
    await listening.stop();
  };
  started.push({ stop });
  return { handler, url: `${listening.origin}/mcp` };
}

async function ask(client: RawClient, url: string, op: string, value?: unknown): Promise<unknown> {
  return JSON.parse(String(await client.callTool(url, 'state', { op, value })));
}

const places: [string, () => SessionStore | undefined][] = [
  ['in memory mode', () => undefined],
  ['in a store with all methods', () => new InMemorySessionStore()],
  ['in a store with the five methods alone', () => new MapSessionStore()]
];

const kinds = ['McpServer', 'Server'] as const;
const adapters = ['Node', 'web'] as const;

describe.each(places)('%s', (_place, makeStore) => {
  const ways = kinds.flatMap(kind =>
    adapters.flatMap(adapter => [true, false].map(json => [kind, adapter, json ? 'JSON' : 'SSE', json] as const))
  );

  test.each(ways)('%s, %s, %s: tools keep a state for each session', async (kind, adapter, _name, json) => {
    const { url } = await start({ kind, adapter, enableJsonResponse: json, sessionStore: makeStore() });
    const [one, other] = [await new RawClient().open(url), await new RawClient().open(url)];
    expect(await ask(one, url, 'get')).toBe('nothing');
    await ask(one, url, 'set', { list: [1, { deep: null }] });
    expect(await ask(one, url, 'get')).toEqual({ list: [1, { deep: null }] });
    expect(await ask(other, url, 'get')).toBe('nothing');
    await ask(one, url, 'delete');
    expect(await ask(one, url, 'get')).toBe('nothing');
    const counts = (await Promise.all(Array.from({ length: 20 }, () => ask(other, url, 'count')))) as number[];
    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test('a state over the limit is refused and the old one stays; the limit counts bytes', async () => {
    const { url } = await start({ sessionStore: makeStore(), maxStateBytes: 12 });
    const client = await new RawClient().open(url);
    expect(await ask(client, url, 'set', 'üüüüü')).toBe('üüüüü');
    expect(await ask(client, url, 'set', 'üüüüüü')).toBe('ANYPOD_STATE_TOO_LARGE');
    expect(await ask(client, url, 'set', 'x'.repeat(11))).toBe('ANYPOD_STATE_TOO_LARGE');
    expect(await ask(client, url, 'get')).toBe('üüüüü');
  });

  test('two hosts in a process are not taken for each other, though their sessions have the same id', async () => {
    const sessionIdGenerator = () => 'the-same';
    const one = await start({ sessionStore: makeStore(), sessionIdGenerator });
    const other = await start({ sessionStore: makeStore(), sessionIdGenerator });
    const [first, second] = [await new RawClient().open(one.url), await new RawClient().open(other.url)];
    await Promise.all([ask(first, one.url, 'set', 1), ask(second, other.url, 'set', 2)]);
    expect(await Promise.all([ask(first, one.url, 'get'), ask(second, other.url, 'get')])).toEqual([1, 2]);
  });

  test('a handler that outlives its session gets an error and restores nothing', async () => {
    const sessionStore = makeStore();
    const extras: RequestExtra[] = [];
    const { handler, url } = await startKeeping(extras, { sessionStore });
    const client = await new RawClient().open(url);
    await client.callTool(url, 'keep');
    const state = sessionState<number>(extras[0]!);
    await state.set(1);
    expect(await state.update(n => (n ?? 0) + 1)).toBe(2);
    await client.delete(url);
    for (const late of [state.get(), state.set(3), state.update(() => 3), state.delete()]) {
      await expect(late).rejects.toMatchObject({ code: 'ANYPOD_SESSION_NOT_FOUND' });
    }
    expect(await sessionStore?.sessionExists(client.sessionId!)).not.toBe(true);
    expect(handler.liveSessions).toBe(0);
  });

  test('update calls its function again with the value that another pod wrote meanwhile', async () => {
    const extras: RequestExtra[] = [];
    const { url } = await startKeeping(extras, { sessionStore: makeStore() });
    const client = await new RawClient().open(url);
    await client.callTool(url, 'keep');
    const state = sessionState<string[]>(extras[0]!);
    const seen: (string[] | undefined)[] = [];
    const written = await state.update(async current => {
      seen.push(current);
      if (seen.length === 1) await state.set(['theirs']);
      return [...(current ?? []), 'mine'];
    });
    expect([seen, written]).toEqual([
      [undefined, ['theirs']],
      ['theirs', 'mine']
    ]);
    expect(await state.get()).toEqual(['theirs', 'mine']);
    const endless = state.update(async current => {
      await state.set(['theirs']);
      return current ?? [];
    });
    void endless.catch(() => {});
    const failing = state.update(() => Promise.reject(new RangeError('mine')));
    await expect(failing).rejects.toThrow(RangeError);
    await client.delete(url);
    await expect(endless).rejects.toMatchObject({ code: 'ANYPOD_SESSION_NOT_FOUND' });
  });
});

/** A server whose tool `keep` keeps its extra for the test, and whose task `later` counts when its request is over. */
async function startKeeping(extras: RequestExtra[], options: McpHandlerOptions) {
  const taskStore = new InMemoryTaskStore();
  const factory = () => {
    const server = new McpServer(
      { name: 'keeping', version: '1' },
      { capabilities: { tasks: { requests: { tools: { call: {} } } } }, taskStore }
    );
    server.registerTool('keep', {}, extra => {
      extras.push(extra);
      return { content: [] };
    });
    server.experimental.tasks.registerToolTask(
      'later',
      { inputSchema: { by: z.number() } },
      {
        async createTask({ by }, extra) {
          const task = await extra.taskStore.createTask({ ttl: 60_000 });
          const work = async () => {
            await delay(20);
            const count = await sessionState<number>(extra).update((now = 0) => now + by);
            await extra.taskStore.storeTaskResult(task.taskId, 'completed', {
              content: [{ type: 'text', text: String(count) }]
            });
          };
          void work();
          return { task };
        },
        getTask: (_args, { taskId, taskStore }) => taskStore.getTask(taskId),
        getTaskResult: async (_args, { taskId, taskStore }) => ({
          content: [],
          ...(await taskStore.getTaskResult(taskId))
        })
      }
    );
    return server;
  };
  const handler = createMcpHandler(factory, options);
  const listening = await listen((req, res) => void handler.node(req, res));
  started.push({
    stop: async () => {
      taskStore.cleanup();
      await handler.close({ drainMs: 0 });
      await listening.stop();
    }
  });
  return { handler, url: `${listening.origin}/mcp` };
}

test.each(places)(
  '%s: a task keeps the state of its session, also when its request is over',
  async (_place, makeStore) => {
    const { url } = await startKeeping([], { sessionStore: makeStore() });
    const [one, other] = [await new RawClient().open(url), await new RawClient().open(url)];
    const run = async (client: RawClient, by: number) => {
      const params = { name: 'later', arguments: { by }, task: { ttl: 60_000 } };
      const { messages } = await client.request(url, 'tools/call', params);
      const { taskId } = messages.at(-1)!.result!.task as { taskId: string };
      await until('the task has ended', async () => {
        const answer = await client.request(url, 'tasks/get', { taskId });
        return answer.messages.at(-1)?.result?.status === 'completed';
      });
      const { messages: results } = await client.request(url, 'tasks/result', { taskId });
      return (results.at(-1)!.result!.content as { text: string }[])[0]!.text;
    };
    expect([await run(one, 1), await run(one, 1), await run(other, 10)]).toEqual(['1', '2', '10']);
  }
);

test('sessionState reports a remedy if the request came through another transport', () => {
  for (const extra of [{}, { requestInfo: {} }, { requestInfo: undefined }, undefined as unknown as RequestExtra]) {
    expect(() => sessionState(extra)).toThrow(InvalidOptionError);
  }
});

test.each([
  ['undefined', undefined],
  ['a function', () => {}],
  ['a bigint', 1n]
])('a value that JSON cannot hold, %s, is refused', async (_name, value) => {
  const extras: RequestExtra[] = [];
  const { url } = await startKeeping(extras, {});
  const client = await new RawClient().open(url);
  await client.callTool(url, 'keep');
  const state = sessionState(extras[0]!);
  await state.set('old');
  await expect(state.set(value)).rejects.toThrow(InvalidOptionError);
  await expect(state.update(() => value)).rejects.toThrow(InvalidOptionError);
  expect(await state.get()).toBe('old');
});

test('sessionState throws for a transport without sessions', async () => {
  const listening = await listen((req, res) => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    const server = new ProbeServer(new Journal(), 'McpServer');
    void server.connect(transport).then(() => transport.handleRequest(req, res));
  });
  started.push(listening);
  const client = new RawClient();
  expect(await ask(client, listening.origin, 'set', 1)).toBe('ANYPOD_SESSION_NOT_FOUND');
});

test('sessionState refuses a store that can patch records but keeps no state', async () => {
  const sessionStore: SessionStore = Object.assign(new MapSessionStore(), { patchSession: async () => true });
  const { url } = await start({ sessionStore });
  const client = await new RawClient().open(url);
  expect(await ask(client, url, 'set', 1)).toBe('ANYPOD_STORE_UNSUPPORTED');
});

test('in a store with five methods, a change of the state and a change of the record do not undo each other', async () => {
  const store = new MapSessionStore();
  // As a store on a network answers: other work goes on meanwhile.
  const slow: SessionStore = {
    storeSession: async (...args) => (await delay(1), store.storeSession(...args)),
    getSession: async sessionId => (await delay(1), store.getSession(sessionId)),
    updateSessionActivity: async () => {},
    deleteSession: sessionId => store.deleteSession(sessionId),
    sessionExists: sessionId => store.sessionExists(sessionId)
  };
  const { url } = await start({ kind: 'Server', sessionStore: slow });
  const client = await new RawClient().open(url);
  const uris = Array.from({ length: 10 }, (_, index) => `test://${index}`);
  await Promise.all(
    uris.flatMap(uri => [client.request(url, 'resources/subscribe', { uri }), ask(client, url, 'count')])
  );
  const { metadata } = (await store.getSession(client.sessionId!))!;
  expect(metadata?.mcp?.subscriptions?.toSorted()).toEqual(uris);
  expect(metadata?.mcp?.state?.value).toBe('10');
});
