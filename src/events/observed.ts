import { fingerprint } from '../ports/sessionId.js';
import { performance } from '../timers.js';
import { busCalls, exchanges, requests } from './channels.js';
import type { BusMessageEvent, ExchangeEvent, RequestEvent, RunWithin, TraceField } from './payloads.js';

/** A request as far as its event needs it. */
interface Headers {
  readonly method: string;
  header(name: string): string | null;
}

/** A reply as far as the event of its exchange needs it. */
interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

interface JsonRpcRequest {
  readonly id: string | number;
  readonly method: string;
  readonly params?: Record<string, unknown> | undefined;
}

/** An exchange whose channel has a subscriber. */
export class ObservedExchange implements ExchangeEvent {
  readonly #headers: Headers;
  readonly #startedAt = performance.now();
  phase: ExchangeEvent['phase'] = 'start';
  readonly method: string;
  session: string | undefined;
  status: number | undefined;
  durationMs = 0;
  within: RunWithin | undefined;

  /** @returns undefined if nobody listens: then nothing is built */
  static begin(headers: Headers): ObservedExchange | undefined {
    if (!exchanges.hasSubscribers) return undefined;
    const observed = new ObservedExchange(headers);
    exchanges.publish(observed);
    return observed;
  }

  private constructor(headers: Headers) {
    this.#headers = headers;
    this.method = headers.method;
    this.session = sessionOf(headers.header('mcp-session-id'));
  }

  /** Lets the engine answer, and notes its reply. */
  async answer<R extends Answer>(handle: () => Promise<R>): Promise<R> {
    const reply = await (this.within ? this.within(handle) : handle());
    this.session ??= sessionOf(reply.headers['mcp-session-id']);
    return reply;
  }

  trace(field: TraceField): string | undefined {
    return this.#headers.header(field) ?? undefined;
  }

  /** The response is complete. */
  end(status: number | undefined): void {
    if (this.phase === 'end') return;
    this.phase = 'end';
    this.status = status;
    this.durationMs = performance.now() - this.#startedAt;
    exchanges.publish(this);
  }
}

/** A JSON-RPC request whose channel has a subscriber. */
export class ObservedRequest implements RequestEvent {
  readonly #params: Record<string, unknown> | undefined;
  readonly #startedAt = performance.now();
  readonly direction: RequestEvent['direction'];
  phase: RequestEvent['phase'] = 'start';
  readonly method: string;
  readonly id: string | number;
  readonly session: string | undefined;
  readonly target: string | undefined;
  readonly uri: string | undefined;
  readonly exchange: ExchangeEvent | undefined;
  outcome: RequestEvent['outcome'];
  errorCode: number | undefined;
  durationMs = 0;
  answeredFrom: string | undefined;
  within: RunWithin | undefined;

  /** @returns undefined if nobody listens: then nothing is built */
  static begin(
    direction: RequestEvent['direction'],
    request: JsonRpcRequest,
    sessionId: string | undefined,
    exchange?: ExchangeEvent
  ): ObservedRequest | undefined {
    if (!requests.hasSubscribers) return undefined;
    const observed = new ObservedRequest(direction, request, sessionId, exchange);
    requests.publish(observed);
    return observed;
  }

  private constructor(
    direction: RequestEvent['direction'],
    { id, method, params }: JsonRpcRequest,
    sessionId: string | undefined,
    exchange: ExchangeEvent | undefined
  ) {
    this.direction = direction;
    this.id = id;
    this.method = method;
    this.#params = params;
    this.session = exchange?.session ?? sessionOf(sessionId);
    this.target = method === 'tools/call' || method === 'prompts/get' ? textOf(params?.name) : undefined;
    this.uri = method.startsWith('resources/') ? textOf(params?.uri) : undefined;
    this.exchange = exchange;
  }

  trace(field: TraceField): string | undefined {
    return textOf((this.#params?._meta as Record<string, unknown> | undefined)?.[field]);
  }

  /** The response, if there is one. */
  respond(response: { result: unknown } | { error: unknown } | object): void {
    if ('error' in response) {
      this.errorCode = (response.error as { code?: number } | undefined)?.code;
      return this.end('error');
    }
    const { result } = response as { result?: { isError?: unknown } };
    this.end(result?.isError === true ? 'tool-error' : 'result');
  }

  end(outcome: NonNullable<RequestEvent['outcome']>): void {
    if (this.phase === 'end') return;
    this.phase = 'end';
    this.outcome = outcome;
    this.durationMs = performance.now() - this.#startedAt;
    requests.publish(this);
  }
}

/** A message between pods whose channel has a subscriber. */
export class ObservedBusMessage implements BusMessageEvent {
  readonly type = 'message';
  readonly direction: BusMessageEvent['direction'];
  phase: BusMessageEvent['phase'] = 'start';
  readonly kind: string;
  readonly session: string;
  traceparent: string | undefined;
  sent: boolean | undefined;
  within: RunWithin | undefined;

  /** @returns undefined if nobody listens: then nothing is built */
  static begin(
    direction: BusMessageEvent['direction'],
    kind: string,
    sessionId: string,
    traceparent?: string
  ): ObservedBusMessage | undefined {
    if (!busCalls.hasSubscribers) return undefined;
    const observed = new ObservedBusMessage(direction, kind, sessionId, traceparent);
    busCalls.publish(observed);
    return observed;
  }

  private constructor(
    direction: BusMessageEvent['direction'],
    kind: string,
    sessionId: string,
    traceparent: string | undefined
  ) {
    this.direction = direction;
    this.kind = kind;
    this.session = fingerprint(sessionId);
    this.traceparent = traceparent;
  }

  end(sent?: boolean): void {
    this.phase = 'end';
    this.sent = sent;
    busCalls.publish(this);
  }
}

function sessionOf(sessionId: string | null | undefined): string | undefined {
  return sessionId ? fingerprint(sessionId) : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
