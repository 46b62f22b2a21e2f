import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

describe('published applications, with the SDK swapped under them', () => {
  test('answer on one pod and on two as the table in examples/swap/README.md says', async () => {
    const env = { ...process.env, REDIS_URL: undefined };
    const script = ['examples/swap/main.mjs', '--check'];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, script, { env });
    expect(stderr).toBe('');
    // Three applications on either, and one with a few lines.
    expect(stdout.trim().split('\n')).toHaveLength(7);
  }, 300_000);
});
