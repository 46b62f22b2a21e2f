import { startPod } from '../../support/pods/process.js';
import { startRedisServer } from '../../support/servers/redisServer.js';
import { until } from '../../support/until.js';
import type { Measured } from '../../support/pods/abandonedPod.js';

// Ten thousand servers are made, on whatever the machine has left.
jest.setTimeout(240_000);

// Promise: L8
test('10,000 sessions that are opened and abandoned leave nothing on their pod', async () => {
  const redis = await startRedisServer();
  const pod = await startPod('test/support/pods/abandonedPod.ts', ['--redis', redis.url, '--sessions', '10000']);
  try {
    const told = await until(
      'it has been measured',
      () => /^holdings (.*)$/m.exec(pod.output())?.[1] ?? /^.*Error: .*$/m.exec(pod.output())?.[0],
      200_000
    );
    const { seconds, before, live, after } = JSON.parse(told) as Measured;
    const lines = Object.entries({ before, live, after }).map(
      ([when, { sessions, heapKiB, resources }]) =>
        `${when.padEnd(7)}${sessions} live, heap ${heapKiB} KiB, ${JSON.stringify(resources)}`
    );
    process.stdout.write(`10,000 sessions opened in ${seconds} s\n${lines.join('\n')}\n`);

    expect(after.sessions).toBe(0);
    // Less than 100 bytes a session, and well below what they took while they lived.
    expect(after.heapKiB - before.heapKiB).toBeLessThan(1_000);
    for (const [kind, count] of Object.entries(after.resources)) {
      expect([kind, count <= (before.resources[kind] ?? 0) + 5]).toEqual([kind, true]);
    }
    // Nothing of it keeps the process alive.
    await until('the process has ended by itself', () => !isRunning(pod.pid));
    expect(await pod.stop()).toBe(0);
  } finally {
    await pod.stop('SIGKILL');
    await redis.stop();
  }
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
