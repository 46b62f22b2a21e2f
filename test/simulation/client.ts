import { createParser, type EventSourceMessage, type EventSourceParser } from 'eventsource-parser';
import type { Random } from '../soak/random.js';
import { HttpCall, type Outgoing } from './http.js';
import type { LawName } from './laws.js';
import type { ClientPlan, Plan } from './plan.js';
import type { Knowledge, SimPod } from './pod.js';
import { Settings } from './settings.js';
import type { World } from './world.js';

const ACCEPT = 'application/json, text/event-stream';
/** Within this time an exchange is answered, whatever the backends do. A resume may wait longer for the log. */
const ANSWER_MS = 15_000;
const RESUME_MS = 45_000;
/** After this time one of two GET streams is left, and the streams of an ended session are closed. */
const SETTLED_MS = 1500;
/** How long a message from one pod to another may take. */
const NEWS_MS = 150;

export type Tool = 'echo' | 'slow' | 'progress' | 'ask' | 'askAlone' | 'tell';

/** One tool call as its client knows it. */
export interface Call {
  readonly token: string;
  readonly id: string;
  readonly tool: Tool;
  readonly sentAt: number;
  /** The session in which it was sent. */
  readonly session: string;
  readonly args: object;
  /** The pod that must get it, if it matters. */
  readonly pin: SimPod | undefined;
  /** `broken`: the connection broke before the client had a cursor, so nobody can say what became of it. */
  state: 'open' | 'answered' | 'failed' | 'broken' | 'over' | 'lost' | 'sessionGone';
  /** Whether the client has sent the request again. */
  retried: boolean;
  /** Whether something has cut its connection. */
  wasCut: boolean;
  answeredAt: number;
  /** The text of each answer that has arrived, by event id (`none` without one). */
  readonly answers: { eventId: string | undefined; text: string; isError: boolean }[];
  cursor: string | undefined;
  readonly progress: Map<string, Receipt>;
}

/** How a message came. */
export interface Receipt {
  readonly eventId: string | undefined;
  readonly connection: HttpCall | undefined;
  readonly at: number;
}

export interface ClientFleet {
  readonly plan: Plan;
  readonly pods: readonly SimPod[];
  /** Whether some pod has an event log, and whether every pod has it: else no client should resume. */
  readonly hasLog: boolean;
  readonly resumable: boolean;
  /** Whether the event log has kept events of which it has never told any pod. */
  readonly logLostAnswers: boolean;
  /** Whether a message may come again on a later connection, because the log fails or loses events, the bus without a log fails, or some pods have no log. */
  readonly mayRepeat: boolean;
  /** Whether nothing has failed so far. */
  readonly calm: boolean;
  /** Whether the log has lost events so far. */
  readonly logLoss: boolean;
  /** How many pods were drained so far. */
  readonly drains: number;
  /** A pod that the balancer sends the next request to. */
  pick(random: Random): SimPod | undefined;
  /** Whether a failover of the store may have lost what was written between two instants. */
  mayHaveLost(from: number, to: number): boolean;
  opened(call: HttpCall): void;
  violation(law: LawName, text: string): void;
}

export interface Rpc {
  id?: string | number;
  method?: string;
  params?: {
    message?: string;
    data?: { token: string; sessionId: string };
    _meta?: { token: string; sessionId: string; progressToken?: string | number };
  };
  result?: { content?: { text: string }[]; _meta?: { token: string; sessionId: string; known: Knowledge } };
  error?: { code: number; message: string };
}

interface Handlers {
  head?(status: number, headers: Headers): void;
  event?(event: EventSourceMessage): void;
  /** @param isCut - whether the connection broke */
  end?(isCut: boolean): void;
}

/** A client that does what the SDK's does, and keeps account of everything that it is sent. */
export class SimClient {
  readonly name: string;
  readonly plan: ClientPlan;
  readonly calls: Call[] = [];
  /** Tokens heard on the GET stream, in order, with the event id of each. */
  readonly heard: (Receipt & { token: string })[] = [];
  /** By id of the question, how it came last. */
  readonly asked = new Map<string | number, Receipt>();
  /** Tokens of the questions whose answer was accepted, and those whose progress was accepted, and when. */
  readonly accepted = new Map<string, number>();
  readonly reported = new Map<string, number>();
  readonly settings = new Settings();
  sessionId: string | undefined;
  /** Whether it has a session, and has ended the handshake. */
  ready = false;
  /** When DELETE was first sent, when a DELETE was confirmed, and how many were answered 200. */
  deleteSentAt: number | undefined;
  deletedAt: number | undefined;
  deletions = 0;
  #stopped = false;
  #wantsStandalone = false;
  #standaloneCursor: string | undefined;
  /** The GET exchanges that are not over. */
  readonly #gets = new Set<HttpCall>();
  /** While two GET streams compete, none is opened again. */
  #competing = false;
  listensTwice = false;
  /** Since when the client has had a cursor on its GET stream: from then on nothing may be missed. */
  cursorSince: number | undefined;
  /** When the first GET of the session was sent. */
  listensSince: number | undefined;
  #cutAt = -Infinity;
  /** How often something has cut the GET stream. */
  cutStandalones = 0;
  /** When the last exchange was sent that touched the session for sure, and when the session was opened. */
  #touchedAt = 0;
  #openedFrom = 0;
  #openedTo = 0;
  /** When the end of the handshake was confirmed. */
  #initializedTo = 0;
  /** How often it has sent the end of its handshake: again, if that was not accepted. */
  #handshakeEnds = 0;
  readonly #world: World;
  readonly #random: Random;
  readonly #fleet: ClientFleet;
  readonly #streams = new Map<Call, HttpCall>();
  /** The exchanges of the session that are not over. */
  readonly #exchanges = new Set<HttpCall>();
  #onconnected: () => void = () => {};

  constructor(name: string, plan: ClientPlan, world: World, fleet: ClientFleet) {
    this.name = name;
    this.plan = plan;
    this.#world = world;
    this.#random = world.fork(name);
    this.#fleet = fleet;
  }

  get open(): Call[] {
    return this.calls.filter(({ state }) => state === 'open');
  }

  /** Opens the session, however long it takes. */
  connect(then: () => void): void {
    this.#onconnected = then;
    this.#openedFrom = this.#world.now;
    const params = {
      protocolVersion: this.plan.version,
      capabilities: { elicitation: {}, roots: { listChanged: true } },
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
          else if (status !== 503) this.#violation('understood', `initialize was answered ${status}`);
        },
        event: ({ data }) => (isAnswered ||= data !== ''),
        end: () => {
          if (sessionId === null || !isAnswered) return again();
          this.sessionId = sessionId;
          this.#openedTo = this.#world.now;
          this.#touchedAt = this.#openedFrom;
          this.#world.note(() => `${this.name} has session ${sessionId}`);
          this.#handshakeEnds = 0;
          this.#endHandshake();
        }
      }
    );
  }

  #endHandshake(): void {
    const again = (): void => this.#endHandshake();
    this.#handshakeEnds++;
    this.#post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { then: () => this.#connected(), again });
  }

  #connected(): void {
    this.#initializedTo = this.#world.now;
    this.ready = true;
    const then = this.#onconnected;
    this.#onconnected = () => {};
    then();
    if (this.#wantsStandalone && this.#gets.size === 0) this.#get();
  }

  /** Opens the GET stream and keeps it open. */
  listen(): void {
    this.#wantsStandalone = true;
    if (this.#gets.size === 0) this.#get();
  }

  /** Opens two GET streams almost at once, as two tabs do. */
  listenTwice(): void {
    if (this.#competing || this.sessionId === undefined) return;
    this.#wantsStandalone = true;
    this.#competing = true;
    this.listensTwice = true;
    const { cutStandalones, sessionId } = this;
    const { drains } = this.#fleet;
    this.#get();
    this.#later(this.#random.between(0, 30), () => this.#get());
    this.#later(SETTLED_MS, () => {
      this.#competing = false;
      const open = [...this.#gets].filter(({ status }) => status === 200);
      const isDisturbed =
        !this.#fleet.calm ||
        !this.#fleet.plan.takeover ||
        this.#fleet.plan.maxLiveSessions < 100 ||
        cutStandalones !== this.cutStandalones ||
        // A GET that the client has given up may arrive late, and takes the stream.
        this.#world.now - this.#cutAt < 2 * SETTLED_MS ||
        drains !== this.#fleet.drains ||
        this.deleteSentAt !== undefined ||
        sessionId !== this.sessionId;
      if (!isDisturbed && open.length !== 1) this.#violation('oneStream', `${open.length} GET streams are open`);
      if (this.#gets.size === 0) this.#get();
    });
  }

  /** Something cuts the GET stream; the client comes back. */
  cutStandalone(): void {
    this.cutStandalones++;
    this.#cutAt = this.#world.now;
    for (const get of this.#gets) get.cut();
  }

  cutCalls(): void {
    for (const [call, stream] of this.#streams) {
      call.wasCut = true;
      stream.cut();
    }
  }

  call(tool: Tool, token: string, ms: number, count: number, pin?: SimPod): Call {
    const call: Call = {
      token,
      id: `${this.name}-${token}`,
      tool,
      sentAt: this.#world.now,
      session: this.sessionId ?? '',
      args: { name: tool, arguments: { token, ms, count } },
      pin,
      state: 'open',
      retried: false,
      wasCut: false,
      answeredAt: Infinity,
      answers: [],
      cursor: undefined,
      progress: new Map()
    };
    if (this.sessionId === undefined) return call;
    this.calls.push(call);
    this.#world.note(() => `${this.name} calls ${tool} ${token}`);
    this.#sendCall(call);
    return call;
  }

  /** Sends a request that is not answered yet once more, with the same id, as an impatient client does. */
  retry(): void {
    const call = this.open.findLast(({ session, pin }) => session === this.sessionId && !pin);
    if (!call) return;
    call.retried = true;
    const again: Call = { ...call, answers: [], cursor: undefined, progress: new Map(), wasCut: false };
    this.calls.push(again);
    this.#world.note(() => `${this.name} sends ${call.token} again`);
    this.#sendCall(again);
  }

  cancel(): void {
    const [first] = this.open;
    if (!first) return;
    const params = { requestId: first.id };
    this.#post({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
    for (const call of this.open) if (call.id === first.id) call.state = 'failed';
  }

  notify(): void {
    if (this.sessionId === undefined) return;
    this.#post({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' });
  }

  /** Sets the log level, or subscribes to a resource, or ends the subscription. */
  change(what: 'level' | 'subscription', then?: () => void): void {
    if (this.sessionId === undefined) return;
    const change = this.settings.change(what, this.#random);
    const id = `change-${this.#random.below(1e9)}`;
    let isConfirmed = false;
    this.#world.note(() => `${this.name} changes ${JSON.stringify(change.params)}`);
    this.settings.begin(this.#world.now);
    this.#exchange(
      { method: 'POST', headers: this.#headers(), body: JSON.stringify({ jsonrpc: '2.0', id, ...change.request }) },
      {
        head: status => {
          if (status === 404) this.#notFound();
        },
        event: ({ data }) => {
          isConfirmed ||= data !== '' && 'result' in (JSON.parse(data) as Rpc);
        },
        end: () => {
          this.settings.end(change, isConfirmed, this.#world.now);
          if (isConfirmed) then?.();
        }
      }
    );
  }

  /** Ends the session, and asks again until it is confirmed. */
  end(): void {
    if (this.sessionId === undefined) return;
    this.deleteSentAt ??= this.#world.now;
    this.#world.note(() => `${this.name} sends DELETE`);
    let isOver = false;
    this.#exchange(
      { method: 'DELETE', headers: this.#headers() },
      {
        head: status => {
          isOver = status === 200 || status === 404;
          if (status === 200) this.#ended();
          if (isOver) this.#confirmed();
          else if (status !== 503) this.#violation('understood', `DELETE was answered ${status}`);
        },
        end: () => {
          if (!isOver) this.#later(300, () => this.end());
        }
      }
    );
  }

  #ended(): void {
    this.deletions++;
    const { plan } = this.#fleet;
    if (this.deletions > 1 && this.#fleet.calm && !plan.fiveMethods) {
      this.#violation('once', 'two DELETEs were answered 200');
    }
    this.#later(SETTLED_MS, () => {
      if (!this.#fleet.calm || !this.#isEndedForGood()) return;
      for (const { status, pod, over } of this.#exchanges) {
        if (status === 200 && !over) this.#violation('told', `a stream of the ended session is open on ${pod.name}`);
      }
    });
  }

  #confirmed(): void {
    if (this.deletedAt !== undefined) return;
    this.deletedAt = this.#world.now;
    const { sessionFreshnessMs } = this.#fleet.plan;
    // Some clients leave the pods alone for a while: a request would tell a pod that the session has ended.
    const from = this.#random.chance(0.5) ? 2 * SETTLED_MS : 0;
    for (const delayMs of [0, 150, 1000, 5000]) {
      // A pod that may trust a session for some time learns of its end from the bus, or when that time is over.
      const isTrusted = sessionFreshnessMs > 0 && delayMs < sessionFreshnessMs + 4000;
      this.#later(from + delayMs, () => {
        if (isTrusted && (!this.#fleet.calm || delayMs === 0 || this.deletions === 0)) return;
        this.probe();
      });
    }
  }

  /** After DELETE was confirmed: nothing may succeed any more, on any pod. */
  probe(): void {
    for (const pod of this.#fleet.pods) if (pod.inService) this.#probe(pod);
  }

  #probe(pod: SimPod): void {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'probe', method: 'ping' });
    this.#exchange(
      { method: 'POST', headers: this.#headers(), body },
      {
        head: status => {
          if (status === 200 && this.#isEndedForGood())
            this.#violation('ended', 'a request after the confirmed DELETE was answered 200');
        }
      },
      pod
    );
  }

  /** Whether nothing can bring the session back: no failover, and no late change in a store of five methods. */
  #isEndedForGood(): boolean {
    const { deleteSentAt = 0, deletedAt = this.#world.now } = this;
    if (this.#fleet.mayHaveLost(deleteSentAt, deletedAt)) return false;
    return !this.#fleet.plan.fiveMethods || (this.#fleet.calm && this.settings.lastChangeAt < deleteSentAt - 1000);
  }

  /** Leaves without a word. */
  stop(): void {
    this.#stopped = true;
    this.#wantsStandalone = false;
    for (const exchange of this.#exchanges) exchange.leave();
  }

  #headers(extra: Record<string, string> = {}): Record<string, string> {
    return {
      'content-type': 'application/json',
      accept: ACCEPT,
      'mcp-protocol-version': this.plan.version,
      ...(this.sessionId !== undefined && { 'mcp-session-id': this.sessionId }),
      ...extra
    };
  }

  #sendCall(call: Call): void {
    if (this.sessionId !== call.session) return void (call.state = 'sessionGone');
    const body = JSON.stringify({ jsonrpc: '2.0', id: call.id, method: 'tools/call', params: call.args });
    let status = 0;
    const http = this.#exchange(
      { method: 'POST', headers: this.#headers(), body },
      {
        head: code => {
          status = code;
          if (status === 404) this.#notFound(call);
          else if (status !== 503 && status !== 200) {
            this.#violation('understood', `call ${call.token} was answered ${status}`);
          }
        },
        event: event => this.#streamEvent(call, event),
        end: isCut => {
          this.#streams.delete(call);
          if (call.state !== 'open') return;
          if (this.sessionId !== call.session) return void (call.state = 'sessionGone');
          if (status === 503) return this.#later(300, () => this.#sendCall(call));
          if (call.cursor === undefined) {
            if (!isCut && status === 200) this.#checkDelivered(call, http);
            call.state = 'broken';
            return;
          }
          this.#later(this.#random.between(1, 300), () => this.#resume(call));
        }
      },
      call.pin
    );
    if (http) this.#streams.set(call, http);
  }

  /** A response ended in order, without the answer, and the client has no cursor with which to come back. */
  #checkDelivered({ token, tool }: Call, http: HttpCall | undefined): void {
    const isMixed = this.#fleet.hasLog && !this.#fleet.resumable;
    if (this.deleteSentAt !== undefined || isMixed || this.#mayBeGone()) return;
    const isDrained = http?.pod.draining && (tool === 'ask' || tool === 'askAlone');
    if (!isDrained) this.#violation('delivered', `the response to ${token} ended without its answer`);
  }

  #resume(call: Call): void {
    if (call.state !== 'open' || call.cursor === undefined) return;
    if (this.sessionId !== call.session || this.deletedAt !== undefined) return void (call.state = 'sessionGone');
    this.#world.note(() => `${this.name} resumes ${call.token} from ${call.cursor}`);
    const http = this.#exchange(
      { method: 'GET', headers: this.#headers({ 'last-event-id': call.cursor }) },
      {
        head: status => {
          if (status === 204) this.#close(call, 'over');
          else if (status === 404) this.#notFound(call);
          else if (status === 400 && this.#fleet.logLoss) this.#close(call, 'lost');
          else if (status !== 200 && status !== 503 && status !== 409 && status !== 500) {
            this.#violation('understood', `the resume of ${call.token} was answered ${status}`);
          }
        },
        event: event => this.#streamEvent(call, event),
        end: () => {
          this.#streams.delete(call);
          this.#later(this.#random.between(1, 300), () => this.#resume(call));
        }
      }
    );
    if (http) this.#streams.set(call, http);
  }

  #close(call: Call, state: Call['state']): void {
    if (call.state === 'open') call.state = state;
  }

  #get(): void {
    if (!this.#wantsStandalone || this.#stopped || this.sessionId === undefined || this.deletedAt !== undefined) return;
    const cursor = this.#standaloneCursor;
    this.listensSince ??= this.#world.now;
    this.#world.note(() => `${this.name} sends GET ${cursor ?? ''}`);
    const get = this.#exchange(
      { method: 'GET', headers: this.#headers(cursor === undefined ? {} : { 'last-event-id': cursor }) },
      {
        head: status => {
          if (status === 404) this.#notFound();
          else if (status !== 200 && status !== 503 && status !== 409 && status !== 500) {
            this.#violation('understood', `its GET was answered ${status}`);
          }
        },
        event: event => this.#standaloneEvent(event, get),
        end: () => {
          if (get) this.#gets.delete(get);
          if (this.#competing || this.#gets.size > 0) return;
          this.#later(this.#random.between(1, 250), () => {
            if (this.#gets.size === 0) this.#get();
          });
        }
      }
    );
    if (get) this.#gets.add(get);
  }

  #standaloneEvent({ id, data }: EventSourceMessage, connection: HttpCall | undefined): void {
    if (id !== undefined && this.#fleet.resumable) {
      this.#standaloneCursor = id;
      this.cursorSince ??= this.#world.now;
    }
    if (data === '') return;
    const message = JSON.parse(data) as Rpc;
    this.#checkSession(message);
    const receipt = { eventId: id, connection, at: this.#world.now };
    if (message.method === 'elicitation/create') return this.#answer(message, receipt);
    // The server has waited long enough for an answer.
    if (message.method === 'notifications/cancelled') return;
    const token = message.params?.data?.token;
    if (token === undefined) return this.#violation('right', `unexpected on the GET stream: ${data}`);
    this.#world.note(() => `${this.name} hears ${token} ${id ?? ''}`);
    const before = this.heard.find(known => known.token === token);
    // Another pod may have read it from the log before the log has told the pod that sends it.
    const mayRepeatHere = this.#fleet.logLostAnswers || id === undefined;
    if (before && !this.#isRetried(token) && !this.#mayRepeat(before, receipt, mayRepeatHere)) {
      this.#violation('unrepeated', `heard ${token} twice`);
    }
    this.heard.push({ token, ...receipt });
  }

  #isRetried(token: string): boolean {
    return this.calls.some(call => call.retried && token.startsWith(`${call.token}.`));
  }

  #streamEvent(call: Call, { id, data }: EventSourceMessage): void {
    if (id !== undefined && this.#fleet.resumable) call.cursor = id;
    if (data === '') return;
    const message = JSON.parse(data) as Rpc;
    this.#checkSession(message, call.session);
    const receipt = { eventId: id, connection: this.#streams.get(call), at: this.#world.now };
    if (message.method === 'elicitation/create') return this.#answer(message, receipt);
    if (message.method !== undefined) {
      const token = message.params?.data?.token ?? '';
      const before = call.progress.get(token);
      // The pod to which the client has come back may read it from the log before the log has told the pod that sends it.
      if (before && !this.#mayRepeat(before, receipt, true)) this.#violation('unrepeated', `heard ${token} twice`);
      if (!before) call.progress.set(token, receipt);
      return;
    }
    if (message.id !== call.id) {
      return this.#violation('right', `the stream of ${call.token} carried the answer to ${String(message.id)}`);
    }
    const text = message.result?.content?.[0]?.text ?? message.error?.message ?? '';
    this.#world.note(() => `${this.name} has the answer to ${call.token}: ${text} ${id ?? ''}`);
    call.answers.push({ eventId: id, text, isError: message.error !== undefined });
    if (call.answers.length > 1) this.#violation('singly', `${call.token} was answered twice`);
    if (call.state === 'open') {
      call.state = message.error ? 'failed' : 'answered';
      call.answeredAt = this.#world.now;
    }
    const known = message.result?._meta?.known;
    if (known) this.#checkKnowledge(call, known);
  }

  #checkKnowledge(call: Call, known: Knowledge): void {
    const { calm, plan } = this.#fleet;
    // A pod that trusts the session learns of the end of the handshake from the bus, or after that time.
    const newsMs = plan.sessionFreshnessMs === 0 ? 0 : calm ? NEWS_MS : plan.sessionFreshnessMs + 4000;
    const mayLack =
      this.#fleet.mayHaveLost(this.#openedFrom, this.#initializedTo) || call.sentAt < this.#initializedTo + newsMs;
    const least = mayLack ? 0 : 1;
    if (
      known.client !== this.name ||
      !known.elicits ||
      known.initialized < least ||
      known.initialized > this.#handshakeEnds
    ) {
      const { client, elicits, initialized } = known;
      this.#violation('knows', `a server knew ${JSON.stringify({ client, elicits, initialized })}`);
    }
    if (!calm || call.session !== this.sessionId) return;
    const problem = this.settings.problem(known, call.sentAt, newsMs);
    if (problem !== undefined) this.#violation('settings', problem);
  }

  #answer({ id, params }: Rpc, receipt: Receipt): void {
    const token = params?.message ?? '';
    this.#world.note(() => `${this.name} is asked ${token} as ${String(id)} ${receipt.eventId ?? ''}`);
    const before = this.asked.get(id!);
    if (before && !this.#mayRepeat(before, receipt)) this.#violation('unrepeated', `was asked ${token} twice`);
    this.asked.set(id!, receipt);
    const reply = { jsonrpc: '2.0', id, result: { action: 'accept', content: { token } } };
    const pin = this.#fleet.pods.find(
      pod => pod.inService && this.calls.some(call => call.token === token && call.pin && call.pin !== pod)
    );
    const send = (): void => {
      this.#post(reply, { then: () => void this.accepted.set(token, this.#world.now), pin });
      if (this.plan.repeats) this.#later(this.#random.between(1, 300), () => this.#post(reply));
    };
    const progressToken = params?._meta?.progressToken;
    const { sessionId } = this;
    this.#later(this.#random.between(1, 400), () => {
      if (sessionId !== this.sessionId) return;
      if (progressToken === undefined || this.#random.chance(0.7)) return send();
      const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } };
      this.#post(progress, {
        pin,
        then: () => {
          this.reported.set(token, this.#world.now);
          this.#later(100, send);
        }
      });
    });
  }

  /**
   * A message that is sent without an event id, because the log was late or failed, may stand in the log all the same:
   * then it comes again, with its id, if its connection ended before the log has told the pod. Of two GET streams at a
   * time, both may carry an event: its id tells.
   * @param onOneConnection - whether it may come twice on a connection, too
   */
  #mayRepeat(before: Receipt, now: Receipt, onOneConnection = false): boolean {
    // Such a pod does not tell what it has written.
    if (this.#fleet.plan.pods.some(({ version }) => version === 'older')) return true;
    const isElsewhere = before.connection !== now.connection;
    if (this.listensTwice && isElsewhere && before.eventId === now.eventId) return true;
    if (this.#fleet.mayRepeat && isElsewhere) return true;
    const isUnlogged = before.eventId === undefined || now.eventId === undefined;
    return this.#fleet.hasLog && isUnlogged && (onOneConnection || isElsewhere);
  }

  /** Sends what is not a request until it is accepted. */
  #post(
    message: object,
    { then, again, pin }: { then?: () => void; again?: () => void; pin?: SimPod | undefined } = {}
  ): void {
    const { sessionId } = this;
    // The session is gone, and its messages with it.
    if (sessionId === undefined) return;
    let status = 0;
    this.#exchange(
      { method: 'POST', headers: this.#headers(), body: JSON.stringify(message) },
      {
        head: code => {
          status = code;
          if (code === 404) this.#notFound();
          else if (code !== 202 && code !== 503) {
            this.#violation('understood', `${JSON.stringify(message).slice(0, 60)} was answered ${code}`);
          }
        },
        end: () => {
          if (status === 202) then?.();
          else if (status !== 404 && sessionId === this.sessionId)
            this.#later(200, again ?? (() => this.#post(message, { ...(then && { then }), pin })));
        }
      },
      pin
    );
  }

  /** The session is gone. If the client has not ended it, it opens another one. */
  #notFound(call?: Call): void {
    if (call) call.state = 'sessionGone';
    if (this.deleteSentAt !== undefined || this.sessionId === undefined) return;
    if (call && call.session !== this.sessionId) return;
    if (!this.#mayBeGone()) this.#violation('exists', '404 without a DELETE');
    this.#world.note(() => `${this.name} has lost its session`);
    for (const other of this.open) other.state = 'sessionGone';
    for (const exchange of this.#exchanges) exchange.leave();
    this.#exchanges.clear();
    this.#streams.clear();
    this.#gets.clear();
    this.sessionId = this.#standaloneCursor = this.cursorSince = this.listensSince = undefined;
    this.ready = false;
    this.settings.forget();
    this.#later(100, () => this.connect(this.#onconnected));
  }

  #mayBeGone(): boolean {
    const { plan, calm } = this.#fleet;
    const { now } = this.#world;
    if (this.#fleet.mayHaveLost(this.#openedFrom, this.#openedTo)) return true;
    // A failover may have lost the refreshes. A pod that trusts the session refreshes it a little later than it answers.
    if (plan.ttlSeconds < 100 && this.#fleet.mayHaveLost(this.#touchedAt - plan.sessionFreshnessMs, now)) return true;
    // A store with five methods reads and refreshes in two calls: a session may expire between them.
    if (plan.ttlSeconds < 100 && plan.fiveMethods) return true;
    const slackMs = 50 + plan.sessionFreshnessMs;
    if (now - this.#touchedAt < plan.ttlSeconds * 1000 - slackMs) return false;
    // A pod keeps the session alive as long as a client is attached.
    const isAttached = [...this.#exchanges].some(
      ({ status, over, sentAt }) => status === 200 && !over && now - sentAt > 1000
    );
    return !calm || !isAttached;
  }

  #checkSession({ params, result }: Rpc, own = this.sessionId): void {
    const sessionId = params?.data?.sessionId ?? params?._meta?.sessionId ?? result?._meta?.sessionId;
    if (sessionId !== undefined && sessionId !== own) this.#violation('right', `got what was for session ${sessionId}`);
  }

  #violation(law: LawName, text: string): void {
    this.#fleet.violation(law, `${this.name}: ${text}`);
  }

  #later(delayMs: number, work: () => void): void {
    this.#world.after(delayMs, () => {
      if (!this.#stopped) work();
    });
  }

  #exchange(outgoing: Outgoing, on: Handlers, pin?: SimPod): HttpCall | undefined {
    const pod = pin?.inService ? pin : this.#fleet.pick(this.#random);
    if (!pod) {
      this.#later(100, () => on.end?.(true));
      return undefined;
    }
    const parser: EventSourceParser = createParser({ onEvent: event => on.event?.(event) });
    let isEventStream = false;
    const end = (isCut: boolean): void => {
      this.#exchanges.delete(call);
      on.end?.(isCut);
    };
    const { sessionId } = this;
    const sentAt = this.#world.now;
    const call: HttpCall = new HttpCall(this.#world, this.#random, pod, outgoing, {
      head: (status, headers) => {
        isEventStream = headers.get('content-type')?.startsWith('text/event-stream') ?? false;
        this.#world.note(() => `${this.name} ${outgoing.method} on ${pod.name}: ${status}`);
        if (status < 300 && sessionId !== undefined && sessionId === this.sessionId) this.#touchedAt = sentAt;
        on.head?.(status, headers);
      },
      text: chunk => {
        if (isEventStream) parser.feed(chunk);
      },
      ended: () => end(false),
      cut: () => end(true)
    });
    this.#exchanges.add(call);
    this.#fleet.opened(call);
    this.#later(outgoing.method === 'GET' ? RESUME_MS : ANSWER_MS, () => {
      if (call.status !== undefined || call.over || pod.process.dead || pod.wasPaused) return;
      this.#violation('inTime', `${outgoing.method} was not answered in time`);
    });
    return call;
  }
}
