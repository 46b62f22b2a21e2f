import { execFileSync } from 'node:child_process';
import { childrenOf, endDemos, isRunning, startDemo, startDemoIn } from '../support/demo.js';
import { startRedisServer } from '../support/servers/redisServer.js';

const claims = [
  'the client connects through the balancer',
  'every pod serves the session',
  'pods that never met the client know it',
  'a question is answered through another pod',
  'a notification crosses from pod to pod',
  'a pod dies, the calls go on',
  'a stream resumes after its pod was killed',
  'every pod restarts, the calls go on',
  'once it is deleted, every pod says 404'
];

describe('npm run demo', () => {
  afterEach(endDemos);

  test('every promise is observed in one process if no redis-server is on the PATH', async () => {
    const demo = startDemoIn({ PATH: '/nowhere' });
    expect(await demo.exited).toBe(0);
    expect(claimsMarked('✓', demo.output())).toEqual(claims);
    expectTheStory(demo.output());
    expect(demo.output()).toContain('three HTTP servers in this process');
    expect(demo.output()).toContain('   9 of 9 checks passed.\n');
  });

  test('every promise is observed with real processes, two of which are killed', async () => {
    const demo = startDemo();
    expect(await demo.exited).toBe(0);
    expect(claimsMarked('✓', demo.output())).toEqual(claims);
    expectTheStory(demo.output());
    expect(demo.output().match(/its process \d+ ends with SIGKILL/g)).toHaveLength(2);
  });

  test('--redis <url>: leaves no session in that Redis', async () => {
    const redis = await startRedisServer();
    const demo = startDemo('--redis', redis.url);
    expect(await demo.exited).toBe(0);
    // The answers of a pod that was killed stay in its event log until they expire.
    const kept = keysIn(redis.port).filter(key => !key.includes(':answer:'));
    expect(kept).toEqual([expect.stringMatching(/^mcp-demo:.*deleted/)]);
    await redis.stop();
  });

  test('--compare: the stock SDK stands beside it, and fails', async () => {
    const demo = startDemo('--compare', '--in-process');
    expect(await demo.exited).toBe(0);
    expect(claimsMarked('✓', demo.output())).toEqual(claims);
    const summary = demo
      .output()
      .split('\n')
      .slice(
        demo
          .output()
          .split('\n')
          .findIndex(line => /mcp-sdk-anypod +stock SDK/.test(line))
      );
    expect(summary.filter(line => /^ +✓ .* ✗ /.test(line))).toHaveLength(claims.length);
  });

  test.each(['--stock --in-process', '--stock'])(
    '%s: the promises fail on the stock SDK, and the exit code is 1',
    async args => {
      const demo = startDemo(...args.split(' '));
      expect(await demo.exited).toBe(1);
      expect(claimsMarked('✗', demo.output())).toEqual(claims);
      expect(demo.output()).toContain('✗ 400 Bad Request: No valid session ID provided');
    }
  );

  test('Ctrl-C leaves no process behind', async () => {
    const demo = startDemo('--redis');
    await demo.prints('whoami');
    const started = childrenOf(demo.pid);
    expect(started.length).toBeGreaterThanOrEqual(4);
    process.kill(demo.pid, 'SIGINT');
    expect(await demo.exited).toBe(130);
    expect(started.filter(isRunning)).toEqual([]);
  });

  test.each([
    ['--sticky', "Unknown option '--sticky'"],
    ['--redis --in-process', '--redis and --in-process exclude each other'],
    ['somewhere', 'demo takes no arguments'],
    ['--redis http://localhost', '--redis takes redis://host:port'],
    ['--port 80', '--port belongs to --web'],
    ['--web --port high', '--port takes a port number'],
    ['--web --compare', '--web and --compare exclude each other']
  ])('demo %s ends with exit code 64 and one line that says why', async (args, reason) => {
    const demo = startDemo(...args.split(' '));
    expect(await demo.exited).toBe(64);
    expect(demo.output()).toMatch(/^mcp-sdk-anypod: [^\n]+\n$/);
    expect(demo.output()).toContain(reason);
  });
});

function claimsMarked(mark: string, output: string): string[] {
  const lines = output.split('\n').filter(line => line.startsWith(`   ${mark} `));
  return lines.map(line => claims.find(claim => line.includes(`${mark} ${claim} `)) ?? line);
}

/** The lines that show it: each with the call, the pod, the session and what that pod knows. */
function expectTheStory(output: string): void {
  const session = /initialize +pod-1 +([0-9a-f]{8}) +accepted/.exec(output)?.[1];
  const knows = 'demo 1\\.2\\.3 +elicitation, sampling';
  expect(output).toMatch(new RegExp(`whoami +pod-1 +${session} +opened +${knows}`));
  for (const pod of [2, 3, 4, 5, 6]) {
    expect(output).toMatch(new RegExp(`whoami +pod-${pod} +${session} +recovered +${knows}`));
  }
  expect(output).toMatch(new RegExp(`whoami +pod-1 +${session} +connection refused`));
  for (const pod of [4, 5, 6]) expect(output).toMatch(new RegExp(`pod-${pod} +${session} +404 Session not found`));
}

function keysIn(port: number): string[] {
  const keys = execFileSync('redis-cli', ['-p', String(port), 'keys', '*'], { encoding: 'utf8' });
  return keys.split('\n').filter(key => key !== '');
}
