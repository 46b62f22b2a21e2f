import { Redis } from 'ioredis';
import { type McpHandlerOptions, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { type RedisServer, startRedisServer } from '../../support/servers/redisServer.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { type LocalPod, startPodForTest } from '../../support/pods/localPod.js';
import { until } from '../../support/until.js';

let server: RedisServer;
beforeAll(async () => void (server = await startRedisServer()));
afterAll(() => server.stop());

function startPod(options: McpHandlerOptions): Promise<LocalPod> {
  const redis = new Redis(server.url);
  stopAfterTest(() => void redis.disconnect());
  return startPodForTest({ sessionStore: new RedisSessionStore({ redis }), ...options });
}

/** Opens a session as a principal; its status, and how long to wait where it was refused. */
async function open(
  { handler }: LocalPod,
  who?: string
): Promise<{ status: number; retryAfter: string | null; id: string | null }> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
  const request = new Request('http://localhost/mcp', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
  });
  const authInfo = who === undefined ? undefined : { token: 't', clientId: who, scopes: [] };
  const response = await handler.fetch(request, { authInfo });
  await response.text();
  const { status, headers } = response;
  return { status, retryAfter: headers.get('retry-after'), id: headers.get('mcp-session-id') };
}

const statuses = (answers: { status: number }[]) => answers.map(({ status }) => status).sort();

describe('maxSessionsPerPrincipal', () => {
  test('counts the sessions of a principal on all pods, and lets others in', async () => {
    const [one, two] = [await startPod({ maxSessionsPerPrincipal: 2 }), await startPod({ maxSessionsPerPrincipal: 2 })];
    const first = await open(one, 'ada');
    expect([first.status, (await open(two, 'ada')).status]).toEqual([200, 200]);
    expect(await open(one, 'ada')).toEqual({ status: 429, retryAfter: '60', id: null });
    expect(await open(two, 'ada')).toMatchObject({ status: 429 });
    expect([(await open(one, 'bob')).status, (await open(one)).status]).toEqual([200, 200]);

    await two.handler.terminateSession(first.id!);
    expect((await open(one, 'ada')).status).toBe(200);
    // Who is refused costs no server.
    expect(one.count('factory')).toBe(4);
  });

  test('openings at the same moment do not get past the limit', async () => {
    const pod = await startPod({ maxSessionsPerPrincipal: 3 });
    const answers = await Promise.all(Array.from({ length: 12 }, () => open(pod, 'eve')));
    expect(statuses(answers)).toEqual([...Array<number>(3).fill(200), ...Array<number>(9).fill(429)]);
  });
});

describe('openRateLimit', () => {
  test('limits how often a principal opens sessions, and others do not wait for it', async () => {
    const pod = await startPod({ openRateLimit: { limit: 2, windowMs: 60_000 } });
    const answers = [await open(pod, 'ada'), await open(pod, 'ada'), await open(pod, 'ada')];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(Number(answers[2]!.retryAfter)).toBeGreaterThan(50);
    expect((await open(pod, 'bob')).status).toBe(200);
    expect(pod.handler.liveSessions).toBe(3);
  });

  test('counts by keyOf if that is given, and not at all if keyOf returns undefined', async () => {
    const keyOf = ({ requestInfo }: { requestInfo: { headers: Record<string, unknown> } }) =>
      requestInfo.headers['x-real-ip'] as string | undefined;
    const pod = await startPod({ openRateLimit: { limit: 1, keyOf } });
    const from = async (address?: string) =>
      (await new RawClient().initialize(pod.url, {}, address ? { 'x-real-ip': address } : {})).status;
    expect([await from('10.0.0.1'), await from('10.0.0.1'), await from('10.0.0.2')]).toEqual([200, 429, 200]);
    expect([await from(), await from()]).toEqual([200, 200]);
  });

  test('lets a client in again when its window is over', async () => {
    const pod = await startPod({ openRateLimit: { limit: 1, windowMs: 300 } });
    expect((await open(pod, 'ada')).status).toBe(200);
    await until('ada is let in again', async () => (await open(pod, 'ada')).status === 200);
  });
});
