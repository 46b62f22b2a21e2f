import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { ElicitRequestSchema, LoggingMessageNotificationSchema } from 'mcp-sdk-upstream/types.js';
import { setTimeout as delay } from 'node:timers/promises';
import { fingerprint } from '../../ports/sessionId.js';
import { performance } from '../../timers.js';
import { POD_HEADER } from './balancer.js';
import { reasonOf } from './visitor.js';
import { ANSWER, labelOf } from './webLabel.js';
import type { WhoAmI } from './whoAmIServer.js';

/** Names the client in each request, for the picture alone: the balancer does not route by it. */
export const CLIENT_HEADER = 'x-demo-client';

/** What the page shows of a client. */
export interface ClientView {
  readonly name: string;
  /** The first characters of the session's id, or '' without a session. */
  session: string;
  answered: number;
  /** Calls that got no answer, and that the client made again. */
  repeated: number;
  /** Sessions that no pod knew any more although nobody had deleted them. */
  lost: number;
  last: string;
  ok: boolean;
}

export interface WebClientOptions {
  readonly url: URL;
  readonly name: string;
  /** The time between two calls, or undefined to pause. */
  readonly paceMs: () => number | undefined;
  /** The pod that holds the GET stream. */
  readonly streamPod: () => string | undefined;
  /** A sentence for the list of events. */
  readonly tell: (text: string, level?: 'good' | 'bad') => void;
  /** The view has changed. */
  readonly changed: () => void;
}

/** How often a client looks whether it shall call, while it is paused. */
const PAUSE_MS = 100;
const AGAIN_MS = 250;
const CALL_TIMEOUT_MS = 4000;
const MISSING = [400, 404];

interface Connection {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
}

/** One client of the page: the SDK's own. It has one session and calls all the time. */
export class WebClient {
  readonly view: ClientView;
  readonly #options: WebClientOptions;
  #connection: Connection | undefined;
  #sessionId = '';
  /** The session that was deleted with the button. */
  #deleted = '';
  /** The pod of the newest POST request. */
  #pod = 'nobody';
  /** The pod that took the newest answer to a question of the server. */
  #answeredAt = Promise.resolve('nobody');

  constructor(options: WebClientOptions) {
    this.#options = options;
    const { name } = options;
    this.view = { name, session: '', answered: 0, repeated: 0, lost: 0, last: 'connects', ok: true };
  }

  get fingerprint(): string {
    return this.#sessionId === '' ? '' : fingerprint(this.#sessionId);
  }

  /** Calls until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const paceMs = this.#options.paceMs();
      const answered = paceMs === undefined || (this.#connection ? await this.#call() : await this.#connect());
      this.#options.changed();
      await delay(answered ? (paceMs ?? PAUSE_MS) : AGAIN_MS, undefined, { signal }).catch(() => {});
    }
    await this.#connection?.client.close();
  }

  /** Calls a tool that asks its user. */
  async ask(): Promise<void> {
    const { name, tell } = this.#options;
    const content = await this.#tool('ask');
    if (!content) return;
    const answeredAt = await this.#answeredAt;
    tell(
      `${String(content.pod)} asked ${name}. The answer arrived at ${answeredAt}. The tool got: ${String(content.color)}`,
      'good'
    );
  }

  /** Calls a tool that sends a notification on the client's GET stream. */
  async news(): Promise<void> {
    await this.#tool('announce');
  }

  /** Deletes the session as another program would: this client only notices with its next call. */
  async delete(): Promise<void> {
    const { url, name, tell } = this.#options;
    if (!this.#connection) return tell(`${name} has no session at the moment`);
    this.#deleted = this.#sessionId;
    const headers = { 'mcp-session-id': this.#sessionId, [CLIENT_HEADER]: name };
    const { status } = await fetch(url, { method: 'DELETE', headers });
    tell(`DELETE of the session of ${name}: ${status}`, status === 200 ? undefined : 'bad');
  }

  /** @returns whether it is connected */
  async #connect(): Promise<boolean> {
    const { url, name } = this.#options;
    const client = new Client({ name, version: '1.0.0' }, { capabilities: { elicitation: {} } });
    const transport = new StreamableHTTPClientTransport(url, {
      requestInit: { headers: { [CLIENT_HEADER]: name } },
      fetch: (input, init) => this.#fetch(input, init),
      // A client that shall outlive every pod does not give up after two attempts.
      reconnectionOptions: {
        initialReconnectionDelay: 300,
        maxReconnectionDelay: 1500,
        reconnectionDelayGrowFactor: 1.5,
        maxRetries: Number.MAX_SAFE_INTEGER
      }
    });
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { color: 'green' } }));
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      const { tell, streamPod } = this.#options;
      tell(`${String(params.data)} reached ${name} on the stream at ${streamPod()}`, 'good');
    });
    try {
      await client.connect(transport, { timeout: CALL_TIMEOUT_MS });
    } catch (error) {
      this.#show(`cannot connect: ${reasonOf(error)}`, false);
      await client.close();
      return false;
    }
    this.#connection = { client, transport };
    this.#sessionId = transport.sessionId ?? '';
    this.view.session = this.#sessionId.slice(0, 8);
    this.#show(`connected through ${this.#pod}`, true);
    return true;
  }

  async #call(): Promise<boolean> {
    const started = performance.now();
    const answer = (await this.#tool('whoami')) as unknown as WhoAmI | undefined;
    if (!answer) return false;
    this.view.answered++;
    const ms = performance.now() - started;
    this.#show(`${answer.pod} ${answer.recovered ? 'recovered it' : 'opened it'} · ${ms.toFixed(0)} ms`, true);
    return true;
  }

  /** @returns the structured content, or undefined if there was no answer */
  async #tool(name: string): Promise<Record<string, unknown> | undefined> {
    const connection = this.#connection;
    if (!connection) return undefined;
    try {
      const result = await connection.client.callTool({ name }, undefined, { timeout: CALL_TIMEOUT_MS });
      return result.structuredContent as Record<string, unknown>;
    } catch (error) {
      if (connection === this.#connection) await this.#failed(error);
      return undefined;
    }
  }

  async #failed(error: unknown): Promise<void> {
    const { name, tell } = this.#options;
    const reason = reasonOf(error);
    const { code } = error as { code?: number };
    if (!MISSING.includes(code ?? 0)) {
      this.view.repeated++;
      if (this.view.ok) tell(`${name} got no answer (${reason}) and calls again`, 'bad');
      return this.#show(reason, false);
    }
    const wasDeleted = this.#deleted === this.#sessionId;
    if (!wasDeleted) this.view.lost++;
    tell(
      `${name} got ${reason}${wasDeleted ? ' for the deleted session,' : ''} and opens a new session`,
      wasDeleted ? undefined : 'bad'
    );
    this.#show(reason, false);
    const connection = this.#connection;
    this.#connection = undefined;
    this.#sessionId = this.view.session = '';
    await connection?.client.close();
  }

  #show(last: string, ok: boolean): void {
    Object.assign(this.view, { last: last || 'no answer', ok });
    this.#options.changed();
  }

  async #fetch(input: string | URL, init?: RequestInit): Promise<Response> {
    const answering = fetch(input, init);
    if (init?.method !== 'POST') return answering;
    const pod = answering.then(
      ({ headers }) => headers.get(POD_HEADER) ?? 'nobody',
      () => 'nobody'
    );
    if (typeof init.body === 'string' && labelOf('POST', init.body) === ANSWER) this.#answeredAt = pod;
    const response = await answering;
    this.#pod = await pod;
    return response;
  }
}
