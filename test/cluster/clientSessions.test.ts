import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { ClientSession } from 'mcp-sdk-anypod/server';
import { startPod, type Pod } from '../support/pods/process.js';
import { contentsOf } from '../support/servers/redisContents.js';
import { useCluster } from './cluster.js';

interface Tally {
  registrations: number;
  codes: number;
  refreshes: number;
  reuses: number;
  discoveries: number;
}

describe.each([
  ['in Redis', undefined],
  ['encrypted in Redis', randomBytes(32).toString('base64')]
])('a web application of two pods with its sessions %s', (_, key) => {
  const cluster = useCluster(2, {
    script: 'test/cluster/webAppPod.ts',
    flags: key === undefined ? [] : ['--key', key],
    backend: 'redis'
  });
  let server: Pod;
  beforeAll(async () => void (server = await startPod('test/cluster/oauthServer.ts')));
  afterAll(() => server.stop('SIGKILL'));

  test('begins an authorization on one pod, finishes it on the other, and then calls tools on both', async () => {
    const { sessionId } = await newSession();
    const { location } = await call(cluster.first, sessionId);
    const callback = await consent(location!);
    expect(await get(cluster.second, callback, 'mallory')).toEqual({ error: 'unknown state' });
    expect(await get(cluster.second, callback)).toEqual({ finished: sessionId });
    // A state works once, and only as it was given.
    expect(await get(cluster.first, callback)).toEqual({ error: 'unknown state' });

    const { codes, registrations, discoveries } = await tally();
    const [token] = (await call(cluster.first, sessionId)).texts!;
    expect(token).toMatch(/^access-/);
    expect(await call(cluster.second, sessionId)).toEqual({ texts: [token] });
    expect(await call(cluster.second, sessionId, 'mallory')).toEqual({ error: 'unknown session' });
    expect(await tally()).toMatchObject({ codes, registrations, discoveries });

    const [session] = (await get(cluster.first, '/sessions')) as [ClientSession];
    expect(session).toMatchObject({ sessionId, identity: 'alice', tokens: { access_token: token } });
    expect(session.clientId).toBe(session.clientInformation?.client_id);
    expect(session.codeVerifier).toBeUndefined();
    await expectSealed([token!, session.tokens!.refresh_token!, 'alice', session.clientId!, server.origin]);
  });

  test('accepts no state that was forged or changed', async () => {
    const { sessionId } = await newSession();
    const callback = await consent((await call(cluster.first, sessionId)).location!);
    const state = new URLSearchParams(callback.split('?')[1]).get('state')!;
    const other = state.endsWith('A') ? 'B' : 'A';
    for (const forged of ['', sessionId, `${sessionId}.`, `${sessionId}.x`, `${state}x`, state.slice(0, -1) + other]) {
      const changed = callback.replace(encodeURIComponent(state), encodeURIComponent(forged));
      expect(await get(cluster.second, changed)).toEqual({ error: 'unknown state' });
    }
    expect(await get(cluster.second, callback)).toEqual({ finished: sessionId });
  });

  test('finishes any of several authorizations that were begun at the same time', async () => {
    for (const chosen of [0, 1, 2, 3]) {
      const { sessionId } = await newSession();
      const begun = await Promise.all(
        [cluster.first, cluster.second, cluster.first, cluster.second].map(pod => call(pod, sessionId))
      );
      const callback = await consent(begun[chosen]!.location!);
      expect(await get(cluster.second, callback)).toEqual({ finished: sessionId });
      expect((await call(cluster.first, sessionId)).texts).toHaveLength(1);
    }
  });

  test('refreshes on both pods at once without losing the newer token or using an old one again', async () => {
    const sessionId = await authorized();
    for (let round = 0; round < 3; round++) {
      await fetch(`${server.origin}/expire`, { method: 'POST' });
      const called = await Promise.all(
        [cluster.first, cluster.second, cluster.first, cluster.second].map(pod => call(pod, sessionId))
      );
      for (const { texts } of called) expect(texts).toHaveLength(1);
      const token = (await call(cluster.first, sessionId)).texts![0];
      expect(await call(cluster.second, sessionId)).toEqual({ texts: [token] });
    }
    const { reuses, refreshes } = await tally();
    expect(reuses).toBe(0);
    expect(refreshes).toBeGreaterThanOrEqual(3);
  });

  test('loses nothing that other pods change while tokens are refreshed', async () => {
    const sessionId = await authorized();
    await fetch(`${server.origin}/expire`, { method: 'POST' });
    const [called, other] = await Promise.all([
      ...[cluster.first, cluster.second].map(pod => call(pod, sessionId)),
      ...[0, 1, 2, 3].map(i =>
        post(i % 2 ? cluster.first : cluster.second, `/update/${sessionId}`, {
          [`server${i % 2 ? 'Id' : 'Name'}`]: 'x'
        })
      ),
      post(cluster.second, `/update/${sessionId}`, { active: true })
    ] as Promise<Called>[]);
    expect([called!.texts, other!.texts].map(texts => texts?.length)).toEqual([1, 1]);
    const all = (await get(cluster.first, '/sessions')) as ClientSession[];
    const session = all.find(each => each.sessionId === sessionId);
    expect(session).toMatchObject({ active: true, serverId: 'x', serverName: 'x' });
    expect((await call(cluster.second, sessionId)).texts).toEqual([session?.tokens?.access_token]);
  });

  test('registers and authorizes again if the authorization server has forgotten the client', async () => {
    const sessionId = await authorized();
    await fetch(`${server.origin}/forget-clients`, { method: 'POST' });
    const begun = await Promise.all([cluster.first, cluster.second].map(pod => call(pod, sessionId)));
    for (const { location } of begun) expect(location).toContain('/authorize?');
    expect(await get(cluster.first, await consent(begun[1]!.location!))).toEqual({ finished: sessionId });
    expect((await call(cluster.second, sessionId)).texts).toHaveLength(1);
  });

  interface Called {
    texts?: string[];
    location?: string;
    error?: string;
  }

  async function newSession(): Promise<ClientSession> {
    const callbackUrl = 'http://127.0.0.1/callback';
    return (await post(cluster.first, '/sessions', {
      serverUrl: `${server.origin}/mcp`,
      callbackUrl
    })) as ClientSession;
  }

  async function authorized(): Promise<string> {
    const { sessionId } = await newSession();
    const callback = await consent((await call(cluster.first, sessionId)).location!);
    expect(await get(cluster.second, callback)).toEqual({ finished: sessionId });
    return sessionId;
  }

  const call = (pod: Pod, sessionId: string, user?: string) =>
    post(pod, `/call/${sessionId}`, {}, user) as Promise<Called>;

  /** What the user's browser does at the authorization server: the path that it is sent back to. */
  async function consent(location: string): Promise<string> {
    const answer = await fetch(location, { redirect: 'manual' });
    const { pathname, search } = new URL(answer.headers.get('location')!);
    return pathname + search;
  }

  async function get(pod: Pod, path: string, user = 'alice'): Promise<unknown> {
    return (await fetch(pod.origin + path, { headers: { 'x-user': user } })).json();
  }

  async function post(pod: Pod, path: string, body: object, user = 'alice'): Promise<unknown> {
    const headers = { 'x-user': user, 'content-type': 'application/json' };
    return (await fetch(pod.origin + path, { method: 'POST', headers, body: JSON.stringify(body) })).json();
  }

  async function tally(): Promise<Tally> {
    return (await (await fetch(`${server.origin}/tally`)).json()) as Tally;
  }

  /** Of these, Redis has everything in clear, or, encrypted, nothing. */
  async function expectSealed(secrets: string[]): Promise<void> {
    const client = new Redis(cluster.backend.redisUrl);
    const raw = await contentsOf(client);
    client.disconnect();
    for (const secret of secrets) expect([secret, raw.includes(secret)]).toEqual([secret, key === undefined]);
  }
});
