import { createParser, type EventSourceMessage, type EventSourceParser } from 'eventsource-parser';
import { HttpCall, type Outgoing } from './http.js';
import type { SimPod } from './pod.js';
import type { World } from './world.js';

const VERSION = '2025-11-25';
const ACCEPT = 'application/json, text/event-stream';

export type Tool = 'echo' | 'slow' | 'progress' | 'ask' | 'askAlone' | 'tell';

/** One tool call as its client knows it. */
export interface Call {
  readonly token: string;
  readonly id: string;
  readonly tool: Tool;
  readonly sentAt: number;
  /** `broken`: the connection broke before the client had a cursor, so nobody can say what became of it. */
  state: 'open' | 'answered' | 'failed' | 'broken' | 'over' | 'sessionGone';
  /** The text of each answer that has arrived, by event id (`none` without one). */
  readonly answers: { eventId: string | undefined; text: string; isError: boolean }[];
  cursor: string | undefined;
  readonly progress: Map<string, Receipt>;
}

/** How a message came. */
interface Receipt {
  readonly eventId: string | undefined;
  readonly connection: HttpCall | undefined;
}

export interface ClientFleet {
  readonly pods: readonly SimPod[];
  readonly log: boolean;
  /** Whether the event log has kept events of which it has never told any pod. */
  readonly logLostAnswers: boolean;
  /** A pod that the balancer sends the next request to. */
  pick(): SimPod | undefined;
  /** How long after a confirmed DELETE nothing of the session may succeed any more, at several instants. */
  readonly probeAfterMs: readonly number[];
  opened(call: HttpCall): void;
  violation(text: string): void;
}

interface Rpc {
  id?: string | number;
  method?: string;
  params?: {
    message?: string;
    data?: { token: string; sessionId: string };
    _meta?: { token: string; sessionId: string };
  };
  result?: { content?: { text: string }[]; _meta?: { token: string; sessionId: string } };
  error?: { code: number; message: string };
}

/** A client that does what the SDK's does, and keeps account of everything that it is sent. */
export class SimClient {
  readonly name: string;
  readonly calls: Call[] = [];
  /** Tokens heard on the GET stream, in order, with the event id of each. */
  readonly heard: (Receipt & { token: string })[] = [];
  /** By id of the question, how it came last. */
  readonly asked = new Map<string | number, Receipt>();
  sessionId: string | undefined;
  /** When DELETE was first sent, and when a DELETE was confirmed. */
  deleteSentAt: number | undefined;
  deletedAt: number | undefined;
  gone: number | undefined;
  #stopped = false;
  #standalone: HttpCall | undefined;
  #wantsStandalone = false;
  #standaloneCursor: string | undefined;
  /** Since when the client has had a cursor on its GET stream: from then on nothing may be missed. */
  cursorSince: number | undefined;
  /** When the first GET was sent. */
  listensSince: number | undefined;
  /** How often something has cut the GET stream. */
  cutStandalones = 0;
  readonly #world: World;
  readonly #fleet: ClientFleet;
  readonly #streams = new Map<Call, HttpCall>();

  constructor(name: string, world: World, fleet: ClientFleet) {
    this.name = name;
    this.#world = world;
    this.#fleet = fleet;
  }

  get open(): Call[] {
    return this.calls.filter(({ state }) => state === 'open');
  }

  /** Opens the session, however long it takes. */
  connect(then: () => void): void {
    const params = {
      protocolVersion: VERSION,
      capabilities: { elicitation: {} },
      clientInfo: { name: this.name, version: '1' }
    };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'init', method: 'initialize', params });
    const again = (): void => this.#later(500, () => this.connect(then));
    let sessionId: string | null = null;
    let isAnswered = false;
    this.#exchange(
      { method: 'POST', headers: { 'content-type': 'application/json', accept: ACCEPT }, body },
      {
        head: (status, headers) => {
          if (status === 200) sessionId = headers.get('mcp-session-id');
          else if (status !== 503) this.#fleet.violation(`${this.name}: initialize was answered ${status}`);
        },
        event: ({ data }) => (isAnswered ||= data !== ''),
        end: () => {
          if (sessionId === null || !isAnswered) return again();
          this.sessionId = sessionId;
          this.#world.note(() => `${this.name} has session ${sessionId}`);
          this.#post({ jsonrpc: '2.0', method: 'notifications/initialized' }, then);
        }
      }
    );
  }

  /** Opens the GET stream and keeps it open. */
  listen(): void {
    this.#wantsStandalone = true;
    if (!this.#standalone || this.#standalone.over) this.#get();
  }

  /** Something cuts the GET stream; the client comes back. */
  cutStandalone(): void {
    this.cutStandalones++;
    this.#standalone?.cut();
  }

  cutCalls(): void {
    for (const call of this.#streams.values()) call.cut();
  }

  call(tool: Tool, token: string, ms: number, count: number): void {
    const id = `${this.name}-${token}`;
    const call: Call = {
      token,
      id,
      tool,
      sentAt: this.#world.now,
      state: 'open',
      answers: [],
      cursor: undefined,
      progress: new Map()
    };
    this.calls.push(call);
    this.#world.note(() => `${this.name} calls ${tool} ${token}`);
    this.#sendCall(call, { name: tool, arguments: { token, ms, count } });
  }

  cancel(call: Call): void {
    this.#post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: call.id } });
    call.state = 'failed';
  }

  setLevel(level: string): void {
    const body = { jsonrpc: '2.0', id: `level-${this.#world.now}`, method: 'logging/setLevel', params: { level } };
    this.#exchange({ method: 'POST', headers: this.#headers(), body: JSON.stringify(body) }, {});
  }

  /** Ends the session, and asks again until it is confirmed. */
  end(): void {
    this.deleteSentAt ??= this.#world.now;
    this.#world.note(() => `${this.name} sends DELETE`);
    let isOver = false;
    this.#exchange(
      { method: 'DELETE', headers: this.#headers() },
      {
        head: status => {
          isOver = status === 200 || status === 404;
          if (isOver) this.#confirmed();
          else if (status !== 503) this.#fleet.violation(`${this.name}: DELETE was answered ${status}`);
        },
        end: () => {
          if (!isOver) this.#later(300, () => this.end());
        }
      }
    );
  }

  #confirmed(): void {
    if (this.deletedAt !== undefined) return;
    this.deletedAt = this.#world.now;
    for (const delayMs of this.#fleet.probeAfterMs) this.#later(delayMs, () => this.probe());
  }

  /** After DELETE was confirmed: nothing may succeed any more. */
  probe(): void {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'probe', method: 'ping' });
    this.#exchange(
      { method: 'POST', headers: this.#headers(), body },
      {
        head: status => {
          if (status === 200)
            this.#fleet.violation(`${this.name}: a request after the confirmed DELETE was answered 200`);
        }
      }
    );
  }

  /** Leaves without a word. */
  stop(): void {
    this.#stopped = true;
    this.#wantsStandalone = false;
    this.#standalone?.leave();
    for (const stream of this.#streams.values()) stream.leave();
  }

  #headers(extra: Record<string, string> = {}): Record<string, string> {
    return {
      'content-type': 'application/json',
      accept: ACCEPT,
      'mcp-protocol-version': VERSION,
      ...(this.sessionId !== undefined && { 'mcp-session-id': this.sessionId }),
      ...extra
    };
  }

  #sendCall(call: Call, params: object): void {
    const body = JSON.stringify({ jsonrpc: '2.0', id: call.id, method: 'tools/call', params });
    let retry = false;
    const http = this.#exchange(
      { method: 'POST', headers: this.#headers(), body },
      {
        head: status => {
          if (status === 503) retry = true;
          else if (status === 404) this.#notFound(call);
          else if (status !== 200) this.#fleet.violation(`${this.name}: call ${call.token} was answered ${status}`);
        },
        event: event => this.#streamEvent(call, event),
        end: () => {
          this.#streams.delete(call);
          if (call.state !== 'open') return;
          if (retry) return this.#later(300, () => this.#sendCall(call, params));
          if (call.cursor === undefined) {
            call.state = 'broken';
            return;
          }
          this.#later(100, () => this.#resume(call));
        }
      }
    );
    if (http) this.#streams.set(call, http);
  }

  #resume(call: Call): void {
    if (call.state !== 'open' || call.cursor === undefined) return;
    this.#world.note(() => `${this.name} resumes ${call.token}`);
    const http = this.#exchange(
      { method: 'GET', headers: this.#headers({ 'last-event-id': call.cursor }) },
      {
        head: status => {
          if (status === 204) call.state = 'over';
          else if (status === 404) this.#notFound(call);
          else if (status !== 200 && status !== 503 && status !== 409 && status !== 500) {
            this.#fleet.violation(`${this.name}: the resume of ${call.token} was answered ${status}`);
          }
        },
        event: event => this.#streamEvent(call, event),
        end: () => {
          this.#streams.delete(call);
          this.#later(300, () => this.#resume(call));
        }
      }
    );
    if (http) this.#streams.set(call, http);
  }

  #get(): void {
    if (!this.#wantsStandalone || this.#stopped || this.gone !== undefined) return;
    const cursor = this.#standaloneCursor;
    this.listensSince ??= this.#world.now;
    this.#world.note(() => `${this.name} sends GET ${cursor ?? ''}`);
    this.#standalone = this.#exchange(
      { method: 'GET', headers: this.#headers(cursor === undefined ? {} : { 'last-event-id': cursor }) },
      {
        head: status => {
          if (status === 404) this.#notFound();
          else if (status !== 200 && status !== 503 && status !== 409 && status !== 500) {
            this.#fleet.violation(`${this.name}: its GET was answered ${status}`);
          }
        },
        event: event => this.#standaloneEvent(event),
        end: () => this.#later(200, () => this.#get())
      }
    );
  }

  #standaloneEvent({ id, data }: EventSourceMessage): void {
    if (id !== undefined) {
      this.#standaloneCursor = id;
      this.cursorSince ??= this.#world.now;
    }
    if (data === '') return;
    const message = JSON.parse(data) as Rpc;
    this.#checkSession(message);
    const receipt = { eventId: id, connection: this.#standalone };
    if (message.method === 'elicitation/create') return this.#answer(message, receipt);
    // The server has waited long enough for an answer.
    if (message.method === 'notifications/cancelled') return;
    const token = message.params?.data?.token;
    if (token === undefined) return this.#fleet.violation(`${this.name}: unexpected on the GET stream: ${data}`);
    this.#world.note(() => `${this.name} hears ${token} ${id ?? ''}`);
    const before = this.heard.find(known => known.token === token);
    // Another pod may have read it from the log before the log has told the pod that sends it.
    const mayRepeatHere = this.#fleet.logLostAnswers || id === undefined;
    if (before && !this.#mayRepeat(before, receipt, mayRepeatHere)) {
      this.#fleet.violation(`${this.name}: heard ${token} twice`);
    }
    this.heard.push({ token, ...receipt });
  }

  #streamEvent(call: Call, { id, data }: EventSourceMessage): void {
    if (id !== undefined) call.cursor = id;
    if (data === '') return;
    const message = JSON.parse(data) as Rpc;
    this.#checkSession(message);
    if (message.method === 'elicitation/create') {
      return this.#answer(message, { eventId: id, connection: this.#streams.get(call) });
    }
    if (message.method !== undefined) {
      const token = message.params?.data?.token ?? '';
      const receipt = { eventId: id, connection: this.#streams.get(call) };
      const before = call.progress.get(token);
      // The pod to which the client has come back may read it from the log before the log has told the pod that sends it.
      if (before && !this.#mayRepeat(before, receipt, true))
        this.#fleet.violation(`${this.name}: heard ${token} twice`);
      call.progress.set(token, receipt);
      return;
    }
    if (message.id !== call.id) {
      return this.#fleet.violation(
        `${this.name}: the stream of ${call.token} carried the answer to ${String(message.id)}`
      );
    }
    const text = message.result?.content?.[0]?.text ?? message.error?.message ?? '';
    this.#world.note(() => `${this.name} has the answer to ${call.token}: ${text} ${id ?? ''}`);
    call.answers.push({ eventId: id, text, isError: message.error !== undefined });
    if (call.answers.length > 1) this.#fleet.violation(`${this.name}: ${call.token} was answered twice`);
    if (call.state === 'open') call.state = message.error ? 'failed' : 'answered';
  }

  #answer({ id, params }: Rpc, receipt: Receipt): void {
    const token = params?.message ?? '';
    this.#world.note(() => `${this.name} is asked ${token} as ${String(id)} ${receipt.eventId ?? ''}`);
    const before = this.asked.get(id!);
    if (before && !this.#mayRepeat(before, receipt)) {
      this.#fleet.violation(`${this.name}: was asked ${token} twice`);
    }
    this.asked.set(id!, receipt);
    const reply = { jsonrpc: '2.0', id, result: { action: 'accept', content: { token } } };
    this.#later(this.#world.random.between(1, 400), () => this.#post(reply));
  }

  /**
   * A message that is sent without an event id, because the log was late or failed, may stand in the log all the same:
   * then it comes again, with its id, if its connection ended before the log has told the pod.
   * @param onOneConnection - whether it may come twice on a connection, too
   */
  #mayRepeat(before: Receipt, now: Receipt, onOneConnection = false): boolean {
    const isUnlogged = before.eventId === undefined || now.eventId === undefined;
    return this.#fleet.log && isUnlogged && (onOneConnection || before.connection !== now.connection);
  }

  /** Sends what is not a request until it is accepted. */
  #post(message: object, then?: () => void): void {
    let status = 0;
    this.#exchange(
      { method: 'POST', headers: this.#headers(), body: JSON.stringify(message) },
      {
        head: code => {
          status = code;
          if (code === 404) this.#notFound();
          else if (code !== 202 && code !== 503) {
            this.#fleet.violation(`${this.name}: ${JSON.stringify(message).slice(0, 60)} was answered ${code}`);
          }
        },
        end: () => {
          if (status === 202) then?.();
          else if (status !== 404) this.#later(200, () => this.#post(message, then));
        }
      }
    );
  }

  #notFound(call?: Call): void {
    if (call) call.state = 'sessionGone';
    this.gone ??= this.#world.now;
    if (this.deleteSentAt === undefined) this.#fleet.violation(`${this.name}: 404 without a DELETE`);
  }

  #checkSession({ params, result }: Rpc): void {
    const sessionId = params?.data?.sessionId ?? params?._meta?.sessionId ?? result?._meta?.sessionId;
    if (sessionId !== undefined && sessionId !== this.sessionId) {
      this.#fleet.violation(`${this.name}: got what was for session ${sessionId}`);
    }
  }

  #later(delayMs: number, work: () => void): void {
    this.#world.after(delayMs, () => {
      if (!this.#stopped) work();
    });
  }

  #exchange(
    outgoing: Outgoing,
    on: { head?(status: number, headers: Headers): void; event?(event: EventSourceMessage): void; end?(): void }
  ): HttpCall | undefined {
    const pod = this.#fleet.pick();
    if (!pod) {
      this.#later(100, () => on.end?.());
      return undefined;
    }
    const parser: EventSourceParser = createParser({ onEvent: event => on.event?.(event) });
    let isEventStream = false;
    const call = new HttpCall(this.#world, pod, outgoing, {
      head: (status, headers) => {
        isEventStream = headers.get('content-type')?.startsWith('text/event-stream') ?? false;
        this.#world.note(() => `${this.name} ${outgoing.method} on ${pod.name}: ${status}`);
        on.head?.(status, headers);
      },
      text: chunk => {
        if (isEventStream) parser.feed(chunk);
      },
      ended: () => on.end?.(),
      cut: () => on.end?.()
    });
    this.#fleet.opened(call);
    return call;
  }
}
