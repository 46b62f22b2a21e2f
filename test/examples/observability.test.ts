import { startPod } from '../support/pods/process.js';
import { RawClient } from '../support/clients/rawClient.js';
import { stopAfterTest } from '../support/stopAfterTest.js';
import { until } from '../support/until.js';

describe('examples/observability', () => {
  test.each(['console-log.ts', 'pino-log.ts'])('%s: logs each session as one JSON object', async example => {
    const pod = await startPod(`examples/observability/${example}`, [], { env: { PORT: '0' } });
    stopAfterTest(() => pod.stop('SIGKILL'));
    const client = await new RawClient().open(`${pod.origin}/mcp`);
    await client.delete(`${pod.origin}/mcp`);
    const events = await until('both lines are there', () => {
      const found = pod
        .output()
        .split('\n')
        .filter(line => line.startsWith('{'));
      return found.length >= 2 && found.map(line => JSON.parse(line) as Record<string, unknown>);
    });
    expect(events.map(({ event }) => event)).toEqual(['session-created', 'session-ended']);
    expect(events[1]).toMatchObject({ by: 'client', session: expect.stringMatching(/^[0-9a-f]{8}$/) as string });
    expect(pod.output()).not.toContain(client.sessionId);
  });
});
