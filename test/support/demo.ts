import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A demo that runs. */
export interface Demo {
  readonly pid: number;
  readonly exited: Promise<number | null>;
  /** Resolves once the output contains the text. */
  prints(text: string): Promise<void>;
  output(): string;
}

/** The demos that run. */
const running = new Map<ChildProcess, Promise<unknown>>();

export function startDemo(...args: string[]): Demo {
  return startDemoIn({}, ...args);
}

export function startDemoIn(env: NodeJS.ProcessEnv, ...args: string[]): Demo {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'demo', ...args], {
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
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
      const look = (): void => {
        if (output.includes(text)) resolve();
      };
      child.stdout.on('data', look);
      look();
      void exited.then(code => reject(new Error(`The demo ended with ${code} and never printed ${text}:\n${output}`)));
    });
  return { pid: child.pid!, exited, prints, output: () => output };
}

export async function endDemos(): Promise<void> {
  for (const demo of running.keys()) demo.kill('SIGINT');
  await Promise.all(running.values());
}

export function childrenOf(pid: number): number[] {
  return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number);
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
