import { createMcpHandler, type McpHandler, type McpHandlerOptions } from 'mcp-sdk-anypod/server';
import { listen, type Listening } from '../servers/listen.js';
import { Journal, ProbeServer } from './probeServer.js';
import { stopAfterTest } from '../stopAfterTest.js';

/** A pod in this process: real HTTP, a real store, and a handler that tests can hold. */
export class LocalPod {
  readonly journal: Journal;
  readonly handler: McpHandler;
  readonly url: string;
  readonly #listening: Listening;

  private constructor(journal: Journal, handler: McpHandler, listening: Listening) {
    this.journal = journal;
    this.handler = handler;
    this.#listening = listening;
    this.url = `${listening.origin}/mcp`;
  }

  static async start(options: McpHandlerOptions = {}, kind: 'McpServer' | 'Server' = 'Server'): Promise<LocalPod> {
    const journal = new Journal();
    const handler = createMcpHandler(({ recovering }) => new ProbeServer(journal, kind, recovering), {
      ...journal.callbacks(),
      ...options
    });
    return new LocalPod(journal, handler, await listen((req, res) => void handler.node(req, res)));
  }

  /** How often something happened, of one session or altogether. */
  count(what: string, sessionId?: string): number {
    return this.journal.entries.filter(entry => entry.what === what && (!sessionId || entry.sessionId === sessionId))
      .length;
  }

  get errors(): string[] {
    return this.journal.entries.flatMap(entry => (entry.what === 'error' ? [String(entry.name)] : []));
  }

  async stop(): Promise<void> {
    await this.handler.close({ drainMs: 0 });
    await this.#listening.stop();
  }
}

/** A pod that is stopped behind the test. */
export async function startPodForTest(...args: Parameters<typeof LocalPod.start>): Promise<LocalPod> {
  const pod = await LocalPod.start(...args);
  stopAfterTest(() => pod.stop());
  return pod;
}
