import { spawnSync } from 'node:child_process';

/** Without what jest tells its own processes: node:test would take it for a run within a run. */
const env = { ...process.env, NODE_TEST_CONTEXT: undefined };

test('examples/store-contract.ts proves its store with node:test', () => {
  const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', 'examples/store-contract.ts'], {
    env,
    encoding: 'utf8'
  });
  expect(stdout).toContain('fail 0');
  expect(Number(/pass (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(10);
  expect(status).toBe(0);
});
