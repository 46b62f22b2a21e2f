import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { InMemorySessionBus, RedisSessionStore, type McpHandlerOptions } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { runCli, runCliJson, cliScript } from '../../support/cli.js';
import { startPodForTest } from '../../support/pods/localPod.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

interface Pod {
  instance: string;
  state: string;
  liveSessions: number;
  attachedStreams: number;
  requests: number;
  recoveries: number;
  rssBytes: number;
}

const redis = useRedis({ enableAutoPipelining: true, socketTimeout: 5000 });
const on = () => ['--url', redis.server.url];
const startPod = (options: McpHandlerOptions = {}) =>
  startPodForTest({ sessionStore: new RedisSessionStore({ redis: redis.client }), ...options });

/** Two pods, and a session that was opened on the first and recovered on the second, where its GET stream is. */
async function twoPods() {
  const pods = [await startPod(), await startPod()] as const;
  const client = await new RawClient().open(pods[0].url);
  const stream = await client.stream(pods[1].url);
  stopAfterTest(async () => stream.close());
  return { pods, client };
}

/** Once both pods are subscribed. */
const podsOf = (count: number) =>
  until(`${count} pods answer`, async () => {
    const { json } = await runCliJson<{ pods: Pod[] }>(['pods', ...on()]);
    return json.pods.length === count && json.pods;
  });

describe('pods', () => {
  it('lists each pod with its sessions, streams and recoveries', async () => {
    await twoPods();
    const pods = await podsOf(2);
    expect(pods.map(({ state, liveSessions }) => [state, liveSessions])).toEqual([
      ['serving', 1],
      ['serving', 1]
    ]);
    expect(pods.map(pod => pod.recoveries).sort()).toEqual([0, 1]);
    expect(pods.map(pod => pod.attachedStreams).sort()).toEqual([0, 1]);
    for (const { rssBytes, requests } of pods) expect([rssBytes > 0, requests > 0]).toEqual([true, true]);
    const { code, stdout } = await runCli(['pods', ...on()]);
    expect([code, stdout.split('\n')[0]]).toEqual([0, expect.stringMatching(/^INSTANCE +HOST +STATE +UP +SESSIONS/)]);
  });

  it('drains one pod: it is no longer ready, and the other pod continues', async () => {
    const { pods, client } = await twoPods();
    const [listed] = (await podsOf(2)).filter(({ attachedStreams }) => attachedStreams === 1);
    const { code, stdout } = await runCli([
      'pods',
      'drain',
      listed!.instance,
      '--delay',
      '0s',
      '--drain',
      '0s',
      ...on()
    ]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^pod \w+ on .* is draining: it serves for 0s more\n$/)]);
    expect([pods[0].handler.ready, pods[1].handler.ready]).toEqual([true, false]);
    expect((await client.notify(pods[0].url, 'notifications/ping')).status).toBe(202);
    const last = await runCli(['pods', 'drain', (await podsOf(1))[0]!.instance, ...on()]);
    expect([last.code, last.stderr]).toEqual([1, expect.stringContaining('no other pod serves')]);
    expect(pods[0].handler.ready).toBe(true);
  });

  it('ends a session for every pod', async () => {
    const { pods, client } = await twoPods();
    const { code, stdout, stderr } = await runCli(['sessions', 'end', client.sessionId!, ...on()]);
    expect([code, stderr, stdout]).toEqual([0, '', expect.stringMatching(/^session \w{8}… ended\n$/)]);
    for (const { handler } of pods) await until('it is gone', () => handler.liveSessions === 0);
    expect((await client.notify(pods[0].url, 'notifications/ping')).status).toBe(404);
  });

  it('says in one line that no pod answers, that an instance is unknown, or that there is no bus', async () => {
    const nobody = await runCli(['pods', ...on(), '--prefix', 'nobody:', '--wait', '200']);
    expect([nobody.code, nobody.stderr]).toEqual([
      1,
      expect.stringMatching(/^mcp-sdk-anypod: no pod answers on .*\n$/)
    ]);
    await twoPods();
    await podsOf(2);
    const unknown = await runCli(['pods', 'drain', 'unknown', ...on()]);
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      expect.stringMatching(/^mcp-sdk-anypod: no pod unknown answers.*\n$/)
    ]);
    expect((await runCli(['pods', 'drain', ...on()])).code).toBe(64);
    expect((await runCli(['pods', '--url', 'redis://127.0.0.1:1'])).code).toBe(2);
  });

  it('a message that no pod of this version understands is reported and changes nothing', async () => {
    const bus = new InMemorySessionBus();
    const pod = await startPod({ sessionBus: bus });
    await new RawClient().open(pod.url);
    for (const text of [
      '{',
      '{"v":99,"from":"x","type":"pods-asked"}',
      '{"v":1,"from":"x","type":"pod-drain","to":1}'
    ]) {
      await bus.publish('pods', text);
    }
    await until('they are reported', () => pod.errors.length === 3);
    expect(pod.handler.ready).toBe(true);
  });
});

describe('top', () => {
  it('prints a line of JSON for each look if it is not on a terminal', async () => {
    await twoPods();
    await podsOf(2);
    const { code, stdout } = await runCli(['top', '--count', '2', '--interval', '0.5s', ...on()]);
    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { pods: Pod[]; requestsPerSecond: number });
    expect([code, lines.map(({ pods }) => pods.length)]).toEqual([0, [2, 2]]);
    expect(lines[1]!.requestsPerSecond).toBe(0);
  });

  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\u0003']
  ])('draws on a terminal, and %s leaves the screen as it was', async (_title, key) => {
    await twoPods();
    const command = [process.execPath, await cliScript(), 'top', ...on()].join(' ');
    const env = { ...process.env, TERM: 'xterm', COLUMNS: '120', LINES: '30' };
    // A terminal for the program: it copies its keys and its screen.
    const terminal = spawn('script', ['-qefc', `stty cols 120 rows 30; ${command}`, '/dev/null'], { env });
    let screen = '';
    terminal.stdout.setEncoding('utf8').on('data', (chunk: string) => (screen += chunk));
    await until('it shows the pods', () => /2 pods on Redis at .*requests\/s.*INSTANCE/s.test(screen));
    terminal.stdin.write(key);
    const [code] = (await once(terminal, 'exit')) as [number];
    expect(code).toBe(0);
    // The cursor is shown again, and the alternate screen is left.
    expect(screen.trimEnd().endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    expect(screen).not.toContain('Error');
  });
});
