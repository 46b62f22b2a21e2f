import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { startRedisServer } from '../support/servers/redisServer.js';

const claims = [
  'the client connects through the balancer',
  'every pod serves the session',
  'pods that never met the client know it',
  'a pod dies, the calls go on',
  'every pod restarts, the calls go on',
  'once it is deleted, every pod says 404'
];

/** The demos that run. */
const running = new Map<ChildProcess, Promise<unknown>>();

describe('npm run demo', () => {
  afterEach(async () => {
    for (const demo of running.keys()) demo.kill('SIGINT');
    await Promise.all(running.values());
  });

  test('every promise is observed in one process', async () => {
    const demo = startDemo();
    expect(await demo.exited).toBe(0);
    expect(claimsMarked('✓', demo.output())).toEqual(claims);
    expectTheStory(demo.output());
  });

  test('--redis: every promise is observed with real processes, one of which is killed', async () => {
    const demo = startDemo('--redis');
    expect(await demo.exited).toBe(0);
    expect(claimsMarked('✓', demo.output())).toEqual(claims);
    expectTheStory(demo.output());
    expect(demo.output()).toMatch(/its process \d+ ends with SIGKILL/);
  });

  test('--redis <url>: leaves no session in that Redis', async () => {
    const redis = await startRedisServer();
    const demo = startDemo('--redis', redis.url);
    expect(await demo.exited).toBe(0);
    expect(keysIn(redis.port)).toEqual([expect.stringMatching(/^mcp-demo:.*deleted/)]);
    await redis.stop();
  });

  test.each(['--stock', '--stock --redis'])(
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

  test('an unknown option ends the demo with exit code 1 and the reason', async () => {
    const demo = startDemo('--sticky');
    expect(await demo.exited).toBe(1);
    expect(demo.output()).toContain("Unknown option '--sticky'");
  });
});

function startDemo(...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/demo/main.ts', ...args], {
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    stdio: ['ignore', 'pipe', 'pipe']
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  running.set(child, exited);
  void exited.then(() => running.delete(child));
  // No time limit of its own: how soon the first line comes depends on the machine, and Jest limits the test.
  const prints = (text: string) =>
    new Promise<void>((resolve, reject) => {
      child.stdout.on('data', () => output.includes(text) && resolve());
      void exited.then(code => reject(new Error(`The demo ended with ${code} and never printed ${text}:\n${output}`)));
    });
  return { pid: child.pid!, exited, prints, output: () => output };
}

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

function childrenOf(pid: number): number[] {
  return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
