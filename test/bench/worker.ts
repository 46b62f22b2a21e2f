import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Answer, Call } from './processes/rpc.js';
import { BUILT } from './build.js';

/** A process of the bench, on compiled code with NODE_ENV=production, and the calls to it. */
export class Worker {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #calls = 0;
  #output = '';

  private constructor(entry: string, configuration: unknown, execArgv: string[], execPath: string) {
    this.#child = fork(join(BUILT, `${entry}.js`), [JSON.stringify(configuration)], {
      execArgv,
      execPath,
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc']
    });
    const append = (chunk: Buffer) => void (this.#output = (this.#output + String(chunk)).slice(-8192));
    this.#child.stdout?.on('data', append);
    this.#child.stderr?.on('data', append);
    this.#exited = once(this.#child, 'exit').then(([code]) => {
      const error = new Error(`A process of the bench (${entry}) ended with ${code}\n${this.#output}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    this.#child.on('message', ({ id, result, error }: Answer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
  }

  /** Resolves when the process is ready to be called. */
  static async start(
    entry: string,
    configuration: unknown = {},
    execArgv: string[] = [],
    execPath = process.execPath
  ): Promise<Worker> {
    const worker = new Worker(entry, configuration, execArgv, execPath);
    await worker.#answer(0);
    return worker;
  }

  call<T>(name: string, argument: unknown = null): Promise<T> {
    const id = ++this.#calls;
    const answer = this.#answer(id) as Promise<T>;
    this.#child.send({ id, name, argument } satisfies Call);
    return answer;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  #answer(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }
}
