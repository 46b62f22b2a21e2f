import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './freePort.js';

export interface RedisServerOptions {
  /** More command line options, for example `['--maxmemory', '3mb']`. */
  args?: readonly string[];
  /** @default a free one */
  port?: number;
}

/** Starts a private redis-server on 127.0.0.1 that keeps nothing on disk; resolves when it answers. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = new RedisServer(options.port ?? (await freePort()), options.args ?? []);
  await server.restart();
  return server;
}

export class RedisServer {
  readonly port: number;
  readonly url: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.url = `redis://127.0.0.1:${port}`;
    this.#args = args;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it on its port, empty. Ends the one that runs, if any. */
  async restart(): Promise<void> {
    await this.stop();
    const own = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', tmpdir(), '--daemonize', 'no'];
    // Replication goes past the disk as well, or the next server would begin with what a replica has left there.
    const diskless = ['--repl-diskless-sync', 'yes', '--repl-diskless-load', 'on-empty-db'];
    const volatile = ['--save', '', '--appendonly', 'no', '--dbfilename', `none-${this.port}.rdb`, ...diskless];
    const child = spawn('redis-server', [...own, ...volatile, ...this.#args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let log = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (log = (log + chunk).slice(-8192)));
    this.#child = child;
    this.#exited = once(child, 'exit');

    const gone = new AbortController();
    const ended = this.#exited
      .finally(() => gone.abort())
      .then(() => Promise.reject(new Error(`redis-server on port ${this.port} ended before it answered\n${log}`)));
    ended.catch(() => {});
    await Promise.race([untilItAnswers(this.port, child.pid, gone.signal), ended]);
    // It also stops asking when the process is gone: then `ended` says so.
    if (gone.signal.aborted) await ended;
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** As a crash would: no goodbye to its clients. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** The process stands still: connections stay open and nothing is answered. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child) return;
    child.kill(signal);
    // A paused process handles no signal but SIGKILL until it goes on.
    child.kill('SIGCONT');
    await this.#exited;
    this.#child = undefined;
  }
}

/** Polls until the process `pid`, and no other server that took the port, answers there. */
async function untilItAnswers(port: number, pid: number | undefined, gone: AbortSignal): Promise<void> {
  while (!gone.aborted) {
    if ((await infoOf(port)).includes(`process_id:${pid}\r\n`)) return;
    await delay(10);
  }
}

/** The answer to `INFO server`, or '' where nobody answers. */
function infoOf(port: number): Promise<string> {
  return new Promise(resolve => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('INFO server\r\nQUIT\r\n'));
    socket.setTimeout(1000, () => socket.destroy());
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}
