import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { ElicitRequestSchema, ResourceUpdatedNotificationSchema } from 'mcp-sdk-upstream/types.js';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Pod, startPods } from '../support/pods/process.js';
import { type RedisServer, startRedisServer } from '../support/servers/redisServer.js';
import { type RoundRobin, startRoundRobin } from '../support/servers/roundRobin.js';
import { until } from '../support/until.js';

let redis: RedisServer;
let pods: Pod[] = [];
let balancer: RoundRobin | undefined;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => void (redis = await startRedisServer()));
afterAll(() => redis?.stop());
afterEach(async () => {
  await Promise.all(open.splice(0).map(client => client.close().catch(() => undefined)));
  await balancer?.stop();
  await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
});

async function start(example: string): Promise<void> {
  pods = await startPods(3, `examples/v2/${example}`, [], { env: { PORT: '0', REDIS_URL: redis.url } });
  balancer = await startRoundRobin(pods.map(pod => pod.port));
}

const url = (): URL => new URL(`${balancer!.origin}/mcp`);
const accept = { action: 'accept' as const, content: { confirm: true } };
const textOf = (result: unknown): string => (result as { content: { text: string }[] }).content[0]?.text ?? '';

async function modern(mode?: 'auto'): Promise<ModernClient> {
  const client = new ModernClient(
    { name: 'modern', version: '1' },
    { capabilities: { elicitation: { form: {} } }, ...(mode && { versionNegotiation: { mode } }) }
  );
  client.setRequestHandler('elicitation/create', async () => accept);
  await client.connect(new ModernTransport(url()));
  open.push(client);
  return client;
}

async function old(): Promise<OldClient> {
  const client = new OldClient({ name: 'old', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, async () => accept);
  await client.connect(new OldTransport(url()));
  open.push(client);
  return client;
}

/** Notes the updates of the menu. */
async function watch(client: ModernClient | OldClient, told: string[]): Promise<void> {
  const uri = 'shop://menu';
  if (client instanceof OldClient) {
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void told.push(params.uri));
    await client.subscribeResource({ uri });
    return;
  }
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri));
  if (client.getNegotiatedProtocolVersion() === '2026-07-28') await client.listen({ resourceSubscriptions: [uri] });
  else await client.subscribeResource({ uri });
}

const kinds: Record<string, () => Promise<ModernClient | OldClient>> = {
  'version 1 of the SDK': old,
  'version 2 of the SDK': () => modern(),
  '2026-07-28': () => modern('auto')
};

test.each(['node-http.ts', 'express.ts', 'fastify.ts', 'hono.ts'])(
  'examples/v2/%s: three pods serve clients of both eras on one endpoint',
  async example => {
    await start(example);
    const told = new Map<string, string[]>();
    for (const [kind, connect] of Object.entries(kinds)) {
      const client = await connect();
      const answers: string[] = [];
      for (let i = 0; i < 6; i++) answers.push(textOf(await client.callTool({ name: 'whoami' })));
      expect([kind, new Set(answers)]).toEqual([kind, new Set(pods.map(({ pid }) => `pod ${pid}`))]);
      for (let i = 0; i < 3; i++) {
        const ordered = await client.callTool({ name: 'order', arguments: { what: `soup ${i}` } });
        expect([kind, textOf(ordered)]).toEqual([kind, `Ordered: soup ${i}`]);
      }
      if (kind !== '2026-07-28') {
        for (const count of ['1', '2', '3']) expect(textOf(await client.callTool({ name: 'count' }))).toBe(count);
      }
      const seen: string[] = [];
      told.set(kind, seen);
      await watch(client, seen);
    }
    for (const { port } of pods) await fetch(`http://127.0.0.1:${port}/menu`, { method: 'POST' });
    for (const [kind, seen] of told) await until(`${kind} is told by each pod`, () => seen.length >= 3);
    expect([...told.values()].map(({ length }) => length)).toEqual([3, 3, 3]);
  }
);

test("examples/v2/sdk-handler.ts: the SDK's own handler hears of changes on all pods", async () => {
  await start('sdk-handler.ts');
  const client = await modern('auto');
  const told: string[] = [];
  await watch(client, told);
  for (const { port } of pods) await fetch(`http://127.0.0.1:${port}/menu`, { method: 'POST' });
  await until('it is told by each pod', () => told.length >= 3);
  await expect(modern()).rejects.toThrow();
  expect(told).toHaveLength(3);
});

test('npm run demo -- --v2: a client of each era goes on after its pod was killed in the middle of a question', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', 'demo', '--', '--v2']);
  expect(stdout.match(/its process \d+ ends with SIGKILL/g)).toHaveLength(2);
  expect(stdout).toContain('The server that ran this request is gone');
  expect(stdout).toContain('   4 of 4 checks passed.\n');
});
