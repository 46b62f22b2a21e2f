import { execFileSync, spawn, type SpawnOptions } from 'node:child_process';
import { bundle } from './pods/bundle.js';

/** What a run of the command line program left. */
export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Variables of this machine that name a backend must not reach the program. */
const NO_BACKEND = { REDIS_URL: '', DATABASE_URL: '', MCP_TS_STORAGE_TYPE: '', MCP_TS_STORAGE_FILE: '' };

/** The program as one JavaScript file. */
export function cliScript(): Promise<string> {
  return bundle('src/cli/main.ts');
}

/** The account that a process runs as. @default that of this process */
export type Account = Pick<SpawnOptions, 'uid' | 'gid'>;

/** Runs `npx mcp-sdk-anypod` with these arguments, as a process. */
export async function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  account: Account = {}
): Promise<CliRun> {
  const child = spawn(process.execPath, [await cliScript(), ...args], {
    ...account,
    env: { ...process.env, ...NO_BACKEND, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', code => resolve({ code, stdout, stderr }));
  });
}

/** The environment of a process whose clock is ahead of this machine's by so many seconds. */
export function clockAhead(seconds: number): Record<string, string> {
  const library = execFileSync('faketime', ['-f', '+0s', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).trim();
  return { LD_PRELOAD: library, FAKETIME: `+${seconds}s`, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}

/** Runs it with `--json`, and parses what it prints. */
export async function runCliJson<T>(
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
  account?: Account
): Promise<CliRun & { json: T }> {
  const run = await runCli([...args, '--json'], env, account);
  try {
    return { ...run, json: JSON.parse(run.stdout) as T };
  } catch (error) {
    throw new Error(`${args.join(' ')} printed no JSON: ${run.stdout}${run.stderr}`, { cause: error });
  }
}

/** Whether the doctor found something wrong. That this machine is slow at the moment does not count. */
export function isProblem({ check, level }: { check: string; level: string }): boolean {
  return level === 'fatal' || (level === 'warning' && !['reachable', 'bus', 'clock'].includes(check));
}
