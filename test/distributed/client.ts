import { setTimeout as delay } from 'node:timers/promises';
import type { Message } from '../support/clients/rawClient.js';
import { answersTo, labelOf } from './answers.js';
import { NOTIFIED } from './application.js';
import type { Difference } from './differences.js';
import { type Endpoint, pathOf } from './endpoints.js';
import type { Capability, ClientSpec, Script } from './script.js';
import { PATIENCE_MS } from './signals.js';
import { Standalone } from './standalone.js';
import { Exchange } from './wire.js';

export type Id = string | number;

const ACCEPT = 'application/json, text/event-stream';

/** One session's client. It decides to which pod each exchange goes, and answers what servers ask. */
export class Client {
  readonly spec: ClientSpec;
  readonly options: Script['options'];
  readonly standalone = new Standalone();
  /** Labels of the questions that came, by the ids that they came under. */
  readonly questions = new Map<string, string>();
  /** How each answer was received, by question. */
  readonly answers: Record<string, number[]> = {};
  sessionId: string | undefined;
  /** Whether the session is there, as far as the client knows. */
  alive = false;
  /** Notifications that count and have been confirmed. */
  notified = 0;
  /** Which pods the exchanges of the current action go to. */
  route: readonly number[] = [0];
  readonly #endpoint: Endpoint;
  readonly #pods: number;
  #answering: Promise<void>[] = [];
  #version: string | undefined;
  #lastId = 0;

  constructor(endpoint: Endpoint, script: Pick<Script, 'options' | 'pods'>, spec: ClientSpec) {
    this.#endpoint = endpoint;
    this.options = script.options;
    this.#pods = script.pods;
    this.spec = spec;
  }

  /** Whether the endpoint is one that differs in this from the stock SDK. */
  shows(difference: Difference): boolean {
    if (difference === 'takeover' && this.options.reject) return false;
    return !this.#endpoint.isStock;
  }

  /** Whether a call may have its stream closed by the server, to be polled. */
  get polls(): boolean {
    return this.options.log && this.spec.tellsVersion && this.#version === '2025-11-25';
  }

  async initialize(): Promise<Exchange> {
    const { version: protocolVersion, capabilities, completes } = this.spec;
    const clientInfo = { name: 'client', version: String(capabilities.length) };
    const params = { protocolVersion, capabilities: capabilitiesOf(capabilities), clientInfo };
    const exchange = await this.post(0, this.message('initialize', params));
    await exchange.untilEnded();
    this.sessionId = exchange.headers.get('mcp-session-id') ?? undefined;
    this.alive = this.sessionId !== undefined;
    this.#version = exchange.messages[0]?.result?.protocolVersion as string;
    if (completes) await (await this.post(1, this.notification('notifications/initialized'))).untilEnded();
    return exchange;
  }

  /** A request with an id of its own. */
  message(method: string, params: Record<string, unknown> = {}): Message & { id: Id } {
    const n = ++this.#lastId;
    const id = { number: n, string: `request ${n}`, odd: n % 2 ? n * 1_000_003 : `0123456789ab:${n}"#\\ü` }[
      this.spec.ids
    ];
    return { jsonrpc: '2.0', id, method, params } as Message & { id: Id };
  }

  call(name: string, args: Record<string, unknown>, _meta?: Record<string, unknown>): Message & { id: Id } {
    return this.message('tools/call', { name, arguments: args, ...(_meta && { _meta }) });
  }

  notification(method: string, params: Record<string, unknown> = {}): Message {
    return { jsonrpc: '2.0', method, params } as Message;
  }

  /** @param turn - which of the action's pods, in turn, it goes to */
  post(turn: number, body: unknown, headers: Record<string, string> = {}): Promise<Exchange> {
    const type = { 'content-type': 'application/json', accept: ACCEPT };
    const init = { body: typeof body === 'string' ? body : JSON.stringify(body), headers: { ...type, ...headers } };
    return this.send('POST', turn, init);
  }

  /** A request that is answered in its own time; read to its end. */
  async ask(turn: number, message: Message & { id: Id }): Promise<Message | undefined> {
    const exchange = await this.post(turn, message);
    await exchange.untilEnded();
    return exchange.messages.find(({ id }) => id === message.id);
  }

  async notify(turn: number, message: Message): Promise<number> {
    const exchange = await this.post(turn, message);
    await exchange.untilEnded();
    return exchange.status;
  }

  /** Opens the standalone stream, or resumes one; tries again while the connection that it has left is still known. */
  async get(turn: number, { cursor, insists }: { cursor?: string; insists: boolean }): Promise<Exchange> {
    const deadline = Date.now() + PATIENCE_MS;
    const headers = { accept: 'text/event-stream', ...(cursor !== undefined && { 'last-event-id': cursor }) };
    for (;;) {
      const exchange = await this.send('GET', turn, { headers });
      if (!insists || exchange.status !== 409 || Date.now() > deadline) return exchange;
      await exchange.untilEnded();
      await delay(5);
    }
  }

  send(method: string, turn: number, init: RequestInit): Promise<Exchange> {
    const headers = { ...this.#headers(), ...(init.headers as Record<string, string>) };
    const url = `${this.originOf(turn)}${pathOf(this.options)}`;
    return Exchange.start(url, { ...init, method, headers }, message => this.#hear(message));
  }

  originOf(turn: number): string {
    return this.#endpoint.origins[this.podOf(turn)] as string;
  }

  podOf(turn: number): number {
    if (this.#endpoint.isStock) return 0;
    return (this.route[turn % this.route.length] as number) % this.#pods;
  }

  /** Makes a pod forget the session, where it is idle: the client has no stream there. */
  async forget(pod: number): Promise<void> {
    const index = pod % this.#pods;
    if (this.#endpoint.isStock || this.standalone.pod === index || this.standalone.hasLeft) return;
    await fetch(`${this.#endpoint.origins[index]}/forget/${this.sessionId}`);
  }

  /** Settles when everything that was asked has been answered. */
  async answered(): Promise<void> {
    while (this.#answering.length > 0) await Promise.all(this.#answering.splice(0));
  }

  #headers(): Record<string, string> {
    const headers: Record<string, string> = { [NOTIFIED]: String(this.notified) };
    if (this.sessionId !== undefined) headers['mcp-session-id'] = this.sessionId;
    if (this.spec.tellsVersion && this.#version !== undefined) headers['mcp-protocol-version'] = this.#version;
    return headers;
  }

  #hear(message: Message): void {
    if (message.method === undefined || message.id === undefined) return;
    const label = labelOf(message);
    const key = JSON.stringify(message.id);
    const known = this.questions.get(key);
    if (known !== undefined && known !== label) this.answers[`${key} names ${known} and ${label}`] = [];
    if (this.shows('ids of questions') && typeof message.id !== 'string') this.answers[`${key} is no string`] = [];
    this.questions.set(key, label);
    this.#answering.push(this.#answer(message, label));
  }

  async #answer(question: Message, label: string): Promise<void> {
    const statuses = (this.answers[label] ??= []);
    // The pods take turns beginning with one that depends on the question.
    let turn = [...label].reduce((sum, char) => sum + char.charCodeAt(0), 0);
    for (const answer of answersTo(question)) statuses.push(await this.notify(turn++, answer));
  }
}

function capabilitiesOf(capabilities: readonly Capability[]): Record<string, unknown> {
  const has = (name: Capability): boolean => capabilities.includes(name);
  return {
    ...(has('sampling') && { sampling: {} }),
    ...(has('roots') && { roots: { listChanged: true } }),
    ...((has('form') || has('url')) && {
      elicitation: { ...(has('form') && { form: {} }), ...(has('url') && { url: {} }) }
    })
  };
}
