import type { Client as ModernClient } from '@modelcontextprotocol/client';
import { acceptedContent, inputRequired, McpServer, requireScopes } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { RedisEventStore } from '../../../src/backends/redis/eventStore.js';
import { RedisSessionStore } from '../../../src/backends/redis/sessionStore.js';
import { createMcpHandler, type McpHandler, sessionState } from '../../../src/v2/index.js';
import {
  clients,
  connectModern,
  type EitherEraClient,
  onResourceUpdated,
  textOf
} from '../../support/clients/eitherEra.js';
import { listen, type Listening } from '../../support/servers/listen.js';
import { type RoundRobin, startRoundRobin } from '../../support/servers/roundRobin.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

const WATCHED = 'test://watched';
const SECRET = 'test://secret';
const confirmation = z.object({ confirm: z.boolean() });

/** The calls of the tool `slow` that wait. */
const waiting = new Set<() => void>();

function makeServer(pod: string): McpServer {
  const server = new McpServer(
    { name: 'both-eras', version: '1' },
    { capabilities: { logging: {}, resources: { subscribe: true, listChanged: true }, tools: { listChanged: true } } }
  );
  server.registerTool('where', {}, async ctx => ({
    content: [{ type: 'text', text: JSON.stringify({ pod, url: new URL(ctx.http?.req?.url ?? '').pathname }) }]
  }));
  server.registerTool('count', {}, async ctx => {
    const count = await sessionState<number>(ctx).update(old => (old ?? 0) + 1);
    return { content: [{ type: 'text', text: String(count) }] };
  });
  server.registerTool('confirm', { inputSchema: z.object({ what: z.string() }) }, async ({ what }, ctx) => {
    const answer = acceptedContent(ctx.mcpReq.inputResponses, 'confirm', confirmation);
    if (answer) return { content: [{ type: 'text', text: `${what}: ${answer.confirm}` }] };
    return inputRequired({
      inputRequests: {
        confirm: inputRequired.elicit({
          message: `Really ${what}?`,
          requestedSchema: { type: 'object', properties: { confirm: { type: 'boolean' } }, required: ['confirm'] }
        })
      }
    });
  });
  server.registerTool('slow', {}, async () => {
    await new Promise<void>(resolve => waiting.add(resolve));
    return { content: [{ type: 'text', text: 'done' }] };
  });
  server.registerTool('guarded', { scopeChallenge: requireScopes('write') }, async () => ({
    content: [{ type: 'text', text: 'allowed' }]
  }));
  // McpServer has no handlers for subscriptions of 2025 clients.
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  server.registerResource('watched', WATCHED, {}, async uri => ({ contents: [{ uri: uri.href, text: '' }] }));
  return server;
}

const redis = useRedis({ socketTimeout: 5000 });
let handlers: McpHandler[];
let pods: Listening[];
let proxy: RoundRobin;
const problems: Error[] = [];

beforeEach(async () => {
  problems.length = 0;
  handlers = ['first', 'second'].map(pod =>
    createMcpHandler(() => makeServer(pod), {
      sessionStore: new RedisSessionStore({ redis: redis.client }),
      eventStore: new RedisEventStore({ redis: redis.client }),
      authorizeSubscription: subscription => subscription !== SECRET,
      onerror: error => problems.push(error)
    })
  );
  pods = await Promise.all(
    handlers.map(handler =>
      listen((req, res) => {
        const scopes = req.headers['x-scopes'];
        const auth = typeof scopes === 'string' ? { token: 't', clientId: 'c', scopes: scopes.split(',') } : undefined;
        void handler.node(Object.assign(req, auth && { auth }), res);
      })
    )
  );
  proxy = await startRoundRobin(pods.map(({ port }) => port));
});

afterEach(async () => {
  for (const done of waiting) done();
  waiting.clear();
  await proxy.stop();
  await Promise.all(pods.map(pod => pod.stop()));
  await Promise.all(handlers.map(handler => handler.close({ drainMs: 0 })));
});

const url = (): URL => new URL(`${proxy.origin}/mcp`);

const options = { answer: () => ({ confirm: true }) };

async function modernClient(mode?: 'auto', headers: Record<string, string> = {}): Promise<ModernClient> {
  return closed(await connectModern(mode, url(), { ...options, headers }));
}

function closed<T extends EitherEraClient>(client: T): T {
  stopAfterTest(() => client.close().catch(() => undefined));
  return client;
}

describe.each(Object.entries(clients))('a client of %s', (name, connectClient) => {
  const connect = async (): Promise<EitherEraClient> => closed(await connectClient(url(), options));
  const hasSession = !name.includes('2026');

  it('is served by both pods in turn, and its handlers get the request', async () => {
    const client = await connect();
    const seen = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const { pod, url: path } = JSON.parse(textOf(await client.callTool({ name: 'where' }))) as Record<string, string>;
      expect(path).toBe('/mcp');
      seen.add(pod ?? '');
    }
    expect([...seen].sort()).toEqual(['first', 'second']);
    expect(handlers.reduce((sum, handler) => sum + handler.liveSessions, 0)).toBe(hasSession ? 2 : 0);
  });

  it('answers the question of a tool that is written once for both eras', async () => {
    const client = await connect();
    for (let i = 0; i < 4; i++) {
      const result = await client.callTool({ name: 'confirm', arguments: { what: `delete ${i}` } });
      expect(textOf(result)).toBe(`delete ${i}: true`);
    }
  });

  it('has state that both pods share if it has a session', async () => {
    const client = await connect();
    const counts: string[] = [];
    for (let i = 0; i < 4; i++) counts.push(textOf(await client.callTool({ name: 'count' })));
    if (hasSession) expect(counts).toEqual(['1', '2', '3', '4']);
    else expect(counts[0]).toContain('a request that belongs to a session');
  });

  it('is told of a resource by either pod, once, and not of one that it may not watch', async () => {
    const client = await connect();
    const told: unknown[] = [];
    onResourceUpdated(client, uri => void told.push(uri));
    if (hasSession) {
      await client.subscribeResource({ uri: WATCHED });
      await expect(client.subscribeResource({ uri: SECRET })).rejects.toThrow('not allowed');
    } else {
      const subscription = await (client as ModernClient).listen({ resourceSubscriptions: [WATCHED, SECRET] });
      expect(subscription.honoredFilter.resourceSubscriptions).toEqual([WATCHED]);
    }
    for (const handler of handlers) {
      await handler.notify.resourceUpdated(SECRET);
      await handler.notify.resourceUpdated(WATCHED);
    }
    await until('both pods have told it', () => told.length >= 2);
    await client.callTool({ name: 'where' });
    expect(told).toEqual([WATCHED, WATCHED]);
  });
});

it.each([undefined, 'auto'] as const)('asks a client (mode %s) for the scopes of a tool before it runs', async mode => {
  const poor = await modernClient(mode, { 'x-scopes': 'read' });
  await expect(poor.callTool({ name: 'guarded' })).rejects.toThrow();
  const rich = await modernClient(mode, { 'x-scopes': 'write' });
  expect(textOf(await rich.callTool({ name: 'guarded' }))).toBe('allowed');
});

it('lets calls of both eras finish, and ends subscriptions with their result, when a pod leaves', async () => {
  proxy.setPods([pods[0]?.port ?? 0]);
  const session = await modernClient();
  const modern = await modernClient('auto');
  const subscription = await modern.listen({ toolsListChanged: true });
  const calls = [session, modern].map(client => client.callTool({ name: 'slow' }));
  await until('both calls run', () => waiting.size === 2);
  // The session's client resumes its stream on the other pod.
  proxy.setPods([pods[1]?.port ?? 0]);
  const closed = handlers[0]?.close({ drainMs: 20_000 });
  await expect(subscription.closed).resolves.toBe('graceful');
  for (const done of waiting) done();
  expect((await Promise.all(calls)).map(textOf)).toEqual(['done', 'done']);
  await closed;
});
