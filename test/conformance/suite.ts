import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A check as the suite writes it to checks.json. */
interface Check {
  id: string;
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'INFO';
  errorMessage?: string;
  details?: unknown;
}

/** The checks of each scenario that ran, without those that only inform. */
export type SuiteResults = ReadonlyMap<string, readonly Check[]>;

const hook = './test/conformance/globSyncHook.mjs';
const next = 'node_modules/conformance-next/dist/index.js';
/**
 * The lines of the official suite: the released one; the next, which also checks polling and a session's life; and that
 * for the protocol without sessions.
 */
const lines = {
  released: ['node_modules/@modelcontextprotocol/conformance/dist/index.js', '--suite', 'all'],
  next: [next, '--suite', 'all', '--spec-version', '2025-11-25'],
  '2026-07-28': [next, '--suite', 'all', '--spec-version', '2026-07-28']
};
export type SuiteLine = keyof typeof lines;
const outputLimit = 4_000;

/** Runs all scenarios for servers against `url`, as a process of its own and from the repository's root. */
export async function runSuite(line: SuiteLine, url: string): Promise<SuiteResults> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-conformance-'));
  try {
    const output = await runCli(lines[line], ['--url', url, '--output-dir', folder]);
    const results = await readResults(folder);
    if (results.size === 0) throw new Error(`The suite ran no scenario\n${output}`);
    return results;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The scenarios that passed: as in the suite's own summary, those without a failed check. */
export function passed(results: SuiteResults): string[] {
  return [...results].filter(([, checks]) => checks.every(check => check.status !== 'FAILURE')).map(([name]) => name);
}

/** Each check that came out other than `expected`, told in words, after the name of its scenario. */
export function differences(results: SuiteResults, expected: SuiteResults): string[] {
  return [...expected].flatMap(([scenario, wanted]) => {
    const got = results.get(scenario);
    if (!got) return [`${scenario} did not run to its end`];
    return Array.from({ length: Math.max(got.length, wanted.length) }, (_, index) => {
      const [is, should] = [told(got[index]), told(wanted[index])];
      return is === should ? [] : [`${scenario}: got ${is}, expected ${should}`];
    }).flat();
  });
}

async function runCli([cli, ...selection]: string[], args: string[]): Promise<string> {
  const child = spawn(process.execPath, ['--import', hook, cli!, 'server', ...selection, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 100_000
  });
  let output = '';
  const append = (chunk: string) => void (output = (output + chunk).slice(-outputLimit));
  child.stdout.setEncoding('utf8').on('data', append);
  child.stderr.setEncoding('utf8').on('data', append);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  // 1 says that some check failed: which ones, the files tell.
  if (code !== 0 && code !== 1) throw new Error(`The suite ended with ${code ?? signal}\n${output}`);
  return output;
}

async function readResults(folder: string): Promise<SuiteResults> {
  const results = new Map<string, Check[]>();
  for (const entry of (await readdir(folder)).sort()) {
    const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(entry)?.[1];
    if (!scenario) throw new Error(`${entry} is no scenario's folder`);
    // A scenario that threw leaves a folder without this file.
    const text = await readFile(join(folder, entry, 'checks.json'), 'utf8').catch(() => undefined);
    if (!text) continue;
    const checks = JSON.parse(text) as Check[];
    results.set(
      scenario,
      checks.filter(check => check.status !== 'INFO')
    );
  }
  return results;
}

/** What differs from one run to the next on the same server: addresses, ids, and what is sealed with a random key. */
const volatile = [
  'serverUrl',
  'hostHeader',
  'originHeader',
  'lastEventId',
  'lastEventIdUsed',
  'sessionId',
  'sessionIdSent',
  'subscriptionId',
  'io.modelcontextprotocol/subscriptionId',
  'requestState'
];

function told(check: Check | undefined): string {
  if (!check) return 'nothing';
  const stable = JSON.stringify(check.details, (key, value: unknown) => {
    if (volatile.includes(key)) return typeof value;
    return key === 'event' ? { ...(value as object), id: undefined } : value;
  });
  return [check.id, check.status, check.errorMessage, stable].filter(Boolean).join(' ');
}
