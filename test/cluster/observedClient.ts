import { Client as ModernClient } from '@modelcontextprotocol/client';
import { type clients, type EitherEraClient, onResourceUpdated, textOf } from '../support/clients/eitherEra.js';
import type { Pod } from '../support/pods/process.js';
import { until } from '../support/until.js';
import type { Cluster } from './cluster.js';

/** What `change` of eitherVersionPod.ts tells of. */
const WATCHED = 'test://watched';

/** A client on pods of eitherVersionPod.ts that notes which pod did what. */
export class ObservedClient {
  readonly #cluster: Cluster;
  #client!: EitherEraClient;
  /** How many changes it has heard of. */
  heard = 0;
  /** The pod of the latest stream on which it hears of changes. */
  stream: string | undefined;
  /** The pod of each stream that it has resumed. */
  resumed: string[] = [];
  /** Which pod asked, and which one got the answer. */
  #answers: { askedBy: string; answeredOn: string }[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async connect(connect: (typeof clients)[keyof typeof clients]): Promise<void> {
    this.#client = await connect(new URL(`${this.#cluster.proxy.origin}/mcp`), {
      answer: askedBy => ({ askedBy }),
      fetch: this.#fetch
    });
    onResourceUpdated(this.#client, () => void this.heard++);
    await this.#watch();
  }

  get sessionId(): string | undefined {
    return this.#client.transport?.sessionId;
  }

  async call(tool: string): Promise<string> {
    return textOf(await this.#client.callTool({ name: tool }));
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** Everything is right with these pods in turn. */
  async expectService(pods: Pod[]): Promise<void> {
    balance(this.#cluster, ...pods);
    await until('the stream is at one of them', () => pidsOf(pods).includes(this.stream ?? ''));
    const seen = new Set<string>();
    for (let i = 0; i < 2 * pods.length; i++) seen.add(await this.call('where'));
    expect([...seen].sort()).toEqual(pidsOf(pods));

    this.#answers = [];
    for (let i = 0; i < pods.length; i++) expect(pidsOf(pods)).toContain(await this.call('ask'));
    await until('every answer is acknowledged', () => this.#answers.length === pods.length);
    expect(this.#answers.filter(({ askedBy, answeredOn }) => askedBy !== answeredOn)).not.toEqual([]);

    this.heard = 0;
    for (let i = 0; i < pods.length; i++) await this.call('change');
    await until('each change is heard', () => this.heard >= pods.length);
    await this.call('where');
    expect(this.heard).toBe(pods.length);
  }

  /** Replaces each pod while it runs a call, which is answered all the same. @param flags - of the new pods */
  async expectRoll(...flags: string[]): Promise<void> {
    const { pods } = this.#cluster;
    for (const [index, leaving] of [...pods].entries()) {
      balance(this.#cluster, leaving);
      const answer = this.call('hold');
      await until('the call runs', async () => (await (await fetch(`${leaving.origin}/journal`)).text()) === '1');
      pods[index] = await this.#cluster.addExtraPod(...flags);
      this.resumed = [];
      balance(this.#cluster, ...pods);
      const ended = leaving.stop('SIGTERM');
      if (this.sessionId !== undefined) {
        await until('the call is resumed elsewhere', () => this.resumed.some(pod => pidsOf(pods).includes(pod)));
      }
      await fetch(`${leaving.origin}/release`, { method: 'POST' });
      expect(await answer).toBe(String(leaving.pid));
      expect(await ended).toBe(0);
    }
  }

  readonly #fetch: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    const pod = response.headers.get('x-pod') ?? '';
    const body = typeof init?.body === 'string' ? init.body : '';
    const askedBy = /"askedBy":"(\d+)"/.exec(body)?.[1];
    if (askedBy !== undefined) this.#answers.push({ askedBy, answeredOn: pod });
    if (response.ok && (init?.method === 'GET' || body.includes('subscriptions/listen'))) {
      this.stream = pod;
      if (new Headers(init?.headers).has('last-event-id')) this.resumed.push(pod);
    }
    return response;
  };

  /** An application listens again when its stream of 2026-07-28 has ended; a session's stream is resumed by the SDK. */
  async #watch(): Promise<void> {
    const client = this.#client;
    if (this.sessionId !== undefined || !(client instanceof ModernClient)) {
      await client.subscribeResource({ uri: WATCHED });
      return;
    }
    const { closed } = await client.listen({ resourceSubscriptions: [WATCHED] });
    void closed.then(() => (client.transport ? this.#watch() : undefined));
  }
}

export function balance(cluster: Cluster, ...pods: Pod[]): void {
  cluster.proxy.setPods(pods.map(({ port }) => port));
}

function pidsOf(pods: Pod[]): string[] {
  return pods.map(({ pid }) => String(pid)).sort();
}
