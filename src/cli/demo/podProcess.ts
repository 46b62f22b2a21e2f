import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PodReport } from './podReport.js';

/** A pod that is a process of its own. */
export interface PodProcess {
  readonly port: number;
  readonly pid: number;
  signal(signal: NodeJS.Signals): void;
  /** Signals the process, and resolves once it has ended: with its exit code, or the signal. */
  stop(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** The first message of a pod to the process that started it. */
export interface Listening {
  listening: number;
}

/**
 * Starts a pod. It ends with this process, even if this one is killed.
 * @param onReport - gets what the pod reports; without it, the pod does not report
 */
export async function startPodProcess(args: readonly string[], onReport?: (report: PodReport) => void) {
  const child = fork(podScript(), [...args, ...(onReport ? ['--report'] : [])], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc']
  });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (errors = (errors + chunk).slice(-2000)));
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  const port = await new Promise<number>((resolve, reject) => {
    child.on('message', (message: Listening | PodReport) => {
      if ('listening' in message) resolve(message.listening);
      else onReport?.(message);
    });
    child.on('error', reject);
    void exited.then(how => reject(new Error(`a pod ended with ${how} before it was listening\n${errors}`)));
  });
  const signal = (name: NodeJS.Signals): void => void child.kill(name);
  const stop = (name: NodeJS.Signals): typeof exited => {
    signal(name);
    return exited;
  };
  return { port, pid: child.pid as number, signal, stop } satisfies PodProcess;
}

/** It stands beside this module: as TypeScript in the repository, as JavaScript in the package. */
function podScript(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './pod.ts' : './pod.js', import.meta.url));
}
