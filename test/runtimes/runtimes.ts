import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startRegistry } from '../swap/registry.js';

const run = promisify(execFile);

/** The runtimes are npm packages that bring their programs. The versions are exact: an install is kept and used again. */
const RUNTIMES = {
  node22: 'npm:node@22.23.3',
  node24: 'npm:node@24.21.0',
  node26: 'npm:node@26.10.0',
  bun: '1.4.5',
  deno: '2.9.6',
  miniflare: '4.20260426.0'
};

/** What an application on a runtime needs besides this package. */
const DEPENDENCIES = {
  '@cfworker/json-schema': '^4.1.1',
  '@hono/node-server': '^2.1.8',
  '@opentelemetry/api': '^1.9.0',
  express: '^5.3.0',
  hono: '^4.13.19',
  ioredis: '^6.0.0',
  pg: '^8.23.1',
  redis: '^6.3.1',
  zod: '^4.0.0'
};

/** The command that runs a script, by runtime. */
export type Command = readonly [program: string, ...args: string[]];

/** Installs the runtimes once for this machine. @returns their folder */
export async function installRuntimes(): Promise<string> {
  return installOnce('anypod-runtimes', { dependencies: RUNTIMES });
}

/** The runtimes that serve by themselves. */
export const runtimeNames = ['the Node of this test', 'Node 22', 'Node 24', 'Node 26', 'Bun', 'Deno'] as const;

/** How each runtime runs a script. @param folder - of {@link installRuntimes} */
export function commandsIn(folder: string): Record<(typeof runtimeNames)[number], Command> {
  const bin = join(folder, 'node_modules');
  const node = (name: string): Command => [join(bin, name, 'bin/node')];
  return {
    'the Node of this test': [process.execPath],
    'Node 22': node('node22'),
    'Node 24': node('node24'),
    'Node 26': node('node26'),
    Bun: [join(bin, '.bin/bun'), 'run'],
    Deno: [join(bin, '.bin/deno'), 'run', '--allow-all', '--quiet', '--node-modules-dir=manual']
  };
}

/** Installs the packed package, and the programs of this folder, as an application. @returns its folder */
export async function installApplication(): Promise<string> {
  const registry = await startRegistry();
  try {
    const dependencies = { ...DEPENDENCIES, 'mcp-sdk-anypod': `file:${registry.tarball}` };
    const folder = await installOnce('anypod-application', { type: 'module', dependencies });
    await cp('test/runtimes/programs', folder, { recursive: true });
    return folder;
  } finally {
    await registry.stop();
  }
}

/** Installs into a folder that is named by its manifest, so that files and runs of tests share it. */
async function installOnce(name: string, manifest: object): Promise<string> {
  const text = JSON.stringify({ name, private: true, ...manifest });
  const folder = join(tmpdir(), `${name}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  const draft = await mkdtemp(`${folder}-`);
  await writeFile(join(draft, 'package.json'), text);
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: draft });
  // Another test file may have been faster. What it has installed is the same.
  await rename(draft, folder).catch(() => rm(draft, { recursive: true }));
  return folder;
}

/** A process of a runtime that serves. */
export interface RuntimePod {
  readonly origin: string;
  output(): string;
  /** Signals the process, and resolves with its exit code, or the signal, when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** Starts a script that prints `listening <port>`. */
export async function startRuntimePod(
  [program, ...options]: Command,
  args: readonly string[],
  { cwd, env }: { cwd: string; env: Record<string, string> }
): Promise<RuntimePod> {
  const child = spawn(program, [...options, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe']
  });
  let output = '';
  const exited = new Promise<number | NodeJS.Signals>(resolve =>
    child.once('exit', (code, signal) => resolve(code ?? signal!))
  );
  const port = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += String(chunk);
      const match = /^listening (\d+)$/m.exec(output);
      if (match) resolve(match[1]!);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', reject);
    void exited.then(how => reject(new Error(`${program} ended with ${how}\n${output}`)));
  });
  return {
    origin: `http://127.0.0.1:${port}`,
    output: () => output,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    }
  };
}

/** Runs a script to its end. @returns the last line that it prints, as JSON */
export async function runToEnd(
  [program, ...options]: Command,
  args: readonly string[],
  { cwd, env }: { cwd: string; env: Record<string, string> }
): Promise<unknown> {
  const { stdout } = await run(program, [...options, ...args], { cwd, env: { ...process.env, ...env } });
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}
