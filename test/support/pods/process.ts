import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { bundle } from './bundle.js';

export interface PodOptions {
  env?: Record<string, string>;
  /** How long the pod may take to say `listening <port>`. @default 30_000 */
  startTimeoutMs?: number;
  /** Told of each line that the pod writes to stdout. */
  onLine?: (line: string) => void;
}

/** A script of this repository that runs as a process of its own and serves HTTP on 127.0.0.1. */
export interface Pod {
  readonly port: number;
  readonly pid: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** What it wrote to stdout and stderr, the latest 64 K characters. */
  output(): string;
  signal(signal: NodeJS.Signals): void;
  /** Signals the process, unless it has gone already, and resolves once it has: with its exit code, or the signal. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

const outputLimit = 64 * 1024;
/** Descriptor 3 is a pipe that only its starter holds: it closes when the starter is gone. */
const watchStarter = script(`
  import { Socket } from 'node:net';
  new Socket({ fd: 3 }).on('close', () => process.exit(1)).resume().unref();
`);

/**
 * Starts the script at `path` (from the root of the repository): one of `test` as a bundle, an example, or a host
 * that loads one, under tsx, as users start the examples. Resolves when it has printed `listening <port>`. The pod ends with the process that started
 * it, even if that one is killed.
 */
export async function startPod(path: string, args: readonly string[] = [], options: PodOptions = {}): Promise<Pod> {
  const isBundled = path.startsWith('test/') && !path.startsWith('test/examples/');
  const needsTsx = !isBundled && !path.endsWith('.mjs');
  const script = needsTsx ? ['--import', 'tsx', path] : [isBundled ? await bundle(path) : path];
  const child = spawn(process.execPath, ['--import', watchStarter, ...script, ...args], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe']
  });
  const output = collectOutput(child);
  if (options.onLine) createInterface({ input: child.stdout! }).on('line', options.onLine);
  const exited = exitOf(child);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    return exited;
  };
  try {
    const port = await listeningPort(child, exited, options.startTimeoutMs ?? 30_000);
    return {
      port,
      pid: child.pid!,
      origin: `http://127.0.0.1:${port}`,
      output,
      signal: signal => void child.kill(signal),
      stop
    };
  } catch (error) {
    await stop('SIGKILL');
    throw new Error(`${path} ${args.join(' ')} did not start\n${output()}`, { cause: error });
  }
}

/** Starts `count` pods alike, at the same time. If one fails to start, none is left running. */
export async function startPods(
  count: number,
  path: string,
  args: readonly string[] = [],
  options: PodOptions = {}
): Promise<Pod[]> {
  const started = await Promise.allSettled(Array.from({ length: count }, () => startPod(path, args, options)));
  const pods = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = started.find(result => result.status === 'rejected');
  if (failed) {
    await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
    throw failed.reason;
  }
  return pods;
}

function collectOutput(child: ChildProcess): () => string {
  let text = '';
  const append = (chunk: string) => void (text = (text + chunk).slice(-outputLimit));
  child.stdout?.setEncoding('utf8').on('data', append);
  child.stderr?.setEncoding('utf8').on('data', append);
  return () => text;
}

async function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return code ?? signal!;
}

function listeningPort(
  child: ChildProcess,
  exited: Promise<number | NodeJS.Signals>,
  timeoutMs: number
): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not listening after ${timeoutMs} ms`)), timeoutMs);
    const lines = createInterface({ input: child.stdout! });
    lines.on('line', line => {
      const match = /^listening (\d+)$/.exec(line);
      if (!match) return;
      clearTimeout(timer);
      resolve(Number(match[1]));
    });
    exited.then(
      how => {
        clearTimeout(timer);
        reject(new Error(`ended with ${how} before it was listening`));
      },
      (error: unknown) => reject(error instanceof Error ? error : new Error(String(error)))
    );
  });
}

function script(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
