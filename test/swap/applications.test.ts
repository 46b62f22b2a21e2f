import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

describe('published applications answer on one pod and on two as the table says', () => {
  test.each([
    // Three applications on either, and one with a few lines.
    ['in examples/swap/README.md, with version 1 of the SDK swapped under them', 'examples/swap/main.mjs', 7],
    // Three applications, each before and after, for a client of 2025-11-25 and one of 2026-07-28.
    ['in examples/applications/README.md, moved to mcp-server-anypod', 'examples/applications/main.mjs', 12]
  ])(
    '%s',
    async (_table, script, lines) => {
      const env = { ...process.env, REDIS_URL: undefined };
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, '--check'], { env });
      expect(stderr).toBe('');
      expect(stdout.trim().split('\n')).toHaveLength(lines);
    },
    300_000
  );
});
