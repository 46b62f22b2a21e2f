import type { StreamableHTTPServerTransportOptions } from 'mcp-sdk-anypod/server/streamableHttp.js';
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from 'mcp-sdk-upstream/types.js';
import { type Conversation, Signal } from './conversation.js';
import { RecordedEventStore } from './recordedEventStore.js';
import type { CallbackBehaviour, HttpRequest, Script, ScriptOptions, Step, Until } from './script.js';
import { connectServer, type Progress } from './servers.js';
import { exchangeWith, type PlayedTransport, type Subject } from './subjects.js';
import { withOwnIds, withWireIds } from './serverIds.js';

/** What an exchange came to. */
export interface ExchangeRecord {
  /** The step that sent it. */
  step: number;
  status: number | undefined;
  headers: [string, string][];
  body: string;
  ended: Conversation['ended'];
  handled: string | undefined;
}

/** Everything that can be seen of a transport while a script is played to it. */
export interface Transcript {
  exchanges: ExchangeRecord[];
  /** Calls of the transport to its host, in order, by the step they fell into; the last entry is the final close. */
  callbacks: unknown[][];
  /** Messages given to send() and what became of each, by whom they are about. */
  sends: Record<string, { message: JSONRPCMessage; outcome: string }[]>;
  /** What the event store was given, and under which ids. */
  stored: Record<string, JSONRPCMessage[]>;
  streamIds: Record<string, string>;
  lookups: string[];
  /** What `look` steps saw. */
  looks: string[];
  /** Steps that did not come to their end in time. */
  late: string[];
  sessionId: string | undefined;
}

/**
 * Plays a script to a subject, from the transport's construction to its close.
 * @param patienceMs - how long a step may take before it counts as one that never ends
 */
export async function play(script: Script, subject: Subject, patienceMs = 3000): Promise<Transcript> {
  const player = new Player(script, subject, patienceMs);
  await player.connect(script.server ?? 'responder');
  for (const step of script.steps) await player.step(step);
  return player.finish();
}

class Player {
  readonly #subject: Subject;
  readonly #patienceMs: number;
  readonly #idsOnTheWire: boolean;
  readonly #options: ScriptOptions;
  readonly #signal = new Signal();
  readonly #transport: PlayedTransport;
  readonly #eventStore: RecordedEventStore | undefined;
  readonly #conversations: { conversation: Conversation; step: number; name: string | undefined }[] = [];
  readonly #sends: Transcript['sends'] = {};
  readonly #callbacks: unknown[][] = [];
  readonly #looks: string[] = [];
  readonly #late: string[] = [];
  #server: Progress = { working: 0, thrown: 0 };
  #release: () => void = () => {};
  readonly #released = new Promise<void>(resolve => (this.#release = resolve));
  #sending = 0;
  /** Of those, the ones of the server that is connected. */
  #answering = 0;
  #step = -1;

  constructor({ options = {}, idsOnTheWire }: Script, subject: Subject, patienceMs: number) {
    this.#idsOnTheWire = idsOnTheWire === true;
    this.#patienceMs = patienceMs;
    this.#subject = subject;
    this.#options = options;
    this.#eventStore = options.eventStore && new RecordedEventStore(options.eventStore, () => this.#signal.notify());
    this.#transport = subject.create(this.#transportOptions(), options.sessionStore);
    this.#transport.onmessage = (message, extra) => this.#record({ onmessage: message, extra: seen(extra) });
    this.#transport.onerror = error => {
      this.#record({ onerror: error.message });
      if (options.onerror === 'throws') throw new Error('onerror fails');
    };
    this.#transport.onclose = () => this.#record('onclose');
  }

  async connect(kind: NonNullable<Script['server']>): Promise<void> {
    this.#server = await connectServer(kind, this.#transport, {
      send: async (message, id) => {
        this.#answering++;
        await this.#send('responder', message, id);
        this.#answering--;
        this.#signal.notify();
      },
      // Difference 5: ours store the events of a stream one after another, which takes more ticks of the same turn.
      settle: async () => void (this.#eventStore && (await turns(1))),
      progressed: () => this.#signal.notify()
    });
  }

  async step(step: Step): Promise<void> {
    this.#step++;
    this.#callbacks[this.#step] = [];
    switch (step.do) {
      case 'exchange':
        return this.#exchange(step.request, step.as, step.until ?? 'end');
      case 'send':
        return this.#send('script', step.message, step.relatedRequestId);
      case 'send unawaited':
        void this.#send('script', step.message, step.relatedRequestId);
        return;
      case 'close':
        return this.#transport.close();
      case 'closeStream':
        return this.#transport.closeSSEStream(step.requestId);
      case 'closeStandaloneStream':
        return this.#transport.closeStandaloneSSEStream();
      case 'abort':
        return this.#abort(this.#named(step.exchange));
      case 'read': {
        const conversation = this.#named(step.exchange);
        const { events = 0, text = '' } = step;
        return this.#wait(`read ${step.exchange}`, () => {
          const { body } = conversation;
          return body.split('\n\n').length > events && body.includes(text);
        });
      }
      case 'finish': {
        const conversation = this.#named(step.exchange);
        return this.#wait(`finish ${step.exchange}`, () => conversation.isComplete);
      }
      case 'await':
        return this.#wait(step.callback, () =>
          this.#callbacks.some((_, index) => this.#hasRecorded(step.callback, index))
        );
      case 'await stored':
        return this.#wait(`stored ${step.stream}`, () => {
          return (this.#eventStore?.stored[step.stream]?.length ?? 0) >= step.events;
        });
      case 'await replays': {
        const replays = () => this.#eventStore?.lookups.filter(lookup => lookup.startsWith('replay')) ?? [];
        return this.#wait('replays', () => replays().length >= step.count);
      }
      case 'hold':
        this.#eventStore!.held = { [step.what]: this.#released };
        return;
      case 'release':
        if (this.#eventStore) this.#eventStore.held = {};
        this.#release();
        return turns(1);
      case 'look':
        this.#looks.push(`${step.exchange}: ${this.#named(step.exchange).handled ?? 'pending'}`);
    }
  }

  async finish(): Promise<Transcript> {
    this.#step++;
    this.#callbacks[this.#step] = [];
    const { sessionId } = this.#transport;
    await this.#transport.close();
    if (this.#mayHang) await turns(20);
    await this.#wait('the end', () => this.#sending === 0 && this.#conversations.every(each => this.#isOver(each)));
    const transcript = this.#transcript(sessionId);
    for (const { conversation } of this.#conversations) if (conversation.ended === 'no') conversation.abort();
    return transcript;
  }

  #transcript(sessionId: string | undefined): Transcript {
    return {
      exchanges: this.#conversations.map(({ conversation, step }) => ({
        step,
        status: conversation.status,
        headers: conversation.headers,
        body: this.#idsOnTheWire ? conversation.body : withOwnIds(conversation.body),
        ended: conversation.ended,
        handled: conversation.handled
      })),
      callbacks: this.#callbacks,
      sends: this.#sends,
      stored: JSON.parse(withOwnIds(JSON.stringify(this.#eventStore?.stored ?? {}))) as Transcript['stored'],
      streamIds: this.#eventStore?.streamIds ?? {},
      lookups: this.#eventStore?.lookups ?? [],
      looks: this.#looks,
      late: this.#late,
      sessionId
    };
  }

  async #exchange(request: HttpRequest, name: string | undefined, until: Until): Promise<void> {
    const step = this.#step;
    const { thrown } = this.#server;
    const { presetHeaders = {} } = this.#options;
    const read = this.#conversations.map(each => each.conversation.body);
    const sent = withWireIds(request, read);
    const conversation = await exchangeWith(this.#subject, this.#transport, sent, this.#signal, presetHeaders);
    this.#conversations.push({ conversation, step, name });
    if (until === 'sent') return;
    const json = this.#options.enableJsonResponse;
    await this.#wait(`${request.method} ${name ?? ''}`, () => {
      if (this.#server.working > 0 || this.#answering > 0) return false;
      if (conversation.isComplete) return true;
      // An exchange at which the server has thrown is about to end.
      if (until === 'end' || this.#server.thrown > thrown) return false;
      return conversation.isStream || (json === true && this.#waitsForServer(step));
    });
  }

  #hasRecorded(callback: string, step: number): boolean {
    return this.#callbacks[step]!.some(entry => typeof entry === 'object' && entry !== null && callback in entry);
  }

  /** Whether the server has been given a request in this step that it has not answered, or has closed on it. */
  #waitsForServer(step: number): boolean {
    return this.#callbacks[step]!.some(entry => {
      const { onmessage: message } = entry as { onmessage?: JSONRPCMessage };
      if (!message || !('id' in message) || !('method' in message)) return false;
      const sent = this.#sends[`responder: ${JSON.stringify(message.id)}`] ?? [];
      return this.#isClosed || !sent.some(({ message: answer }) => !('method' in answer));
    });
  }

  get #isClosed(): boolean {
    return this.#callbacks.flat().includes('onclose');
  }

  async #abort(conversation: Conversation): Promise<void> {
    // What the server has sent is to arrive, and the end of the exchange too.
    await turns(10);
    conversation.abort();
    await this.#wait('abort', () => conversation.serverClosed || conversation.ended !== 'aborted');
    // What listens for the close beside this harness has then run.
    await turns(1);
  }

  async #send(by: string, message: JSONRPCMessage, relatedRequestId?: RequestId): Promise<void> {
    const about = relatedRequestId ?? ('id' in message ? message.id : undefined);
    const record = { message, outcome: 'pending' };
    (this.#sends[`${by}: ${JSON.stringify(about)}`] ??= []).push(record);
    this.#sending++;
    try {
      await this.#transport.send(message, { relatedRequestId });
      record.outcome = 'sent';
    } catch (error) {
      record.outcome = (error as Error).message;
    } finally {
      this.#sending--;
      this.#signal.notify();
    }
  }

  /** The stock transport never answers a JSON exchange that waits when it is closed. */
  get #mayHang(): boolean {
    return this.#subject.mode === 'stock' && this.#options.enableJsonResponse === true;
  }

  #isOver({ conversation }: { conversation: Conversation }): boolean {
    return conversation.isComplete || (this.#mayHang && conversation.status === undefined);
  }

  #named(name: string): Conversation {
    const found = this.#conversations.findLast(each => each.name === name);
    if (!found) throw new Error(`The script has no exchange ${name}`);
    return found.conversation;
  }

  async #wait(what: string, happened: () => boolean): Promise<void> {
    if (!(await this.#signal.until(happened, this.#patienceMs))) this.#late.push(`step ${this.#step}: ${what}`);
  }

  #record(entry: unknown): void {
    this.#callbacks[this.#step]?.push(structuredClone(entry));
    this.#signal.notify();
  }

  #transportOptions(): StreamableHTTPServerTransportOptions {
    const { sessions = 'counted', onsessioninitialized, onsessionclosed, ...options } = this.#options;
    let count = 0;
    const nextId = (): string => {
      if (sessions === 'throwing') throw new Error('No session ids today');
      return typeof sessions === 'object' ? sessions.fixed : `session-${++count}`;
    };
    return {
      ...options,
      sessionStore: undefined,
      // Difference 15: what is compared is what an application gets that asks for it.
      standaloneStream: options.standaloneStream === 'the default' ? undefined : 'reject',
      eventStore: this.#eventStore,
      sessionIdGenerator: sessions === 'none' ? undefined : nextId,
      onsessioninitialized: this.#callback('onsessioninitialized', onsessioninitialized),
      onsessionclosed: this.#callback('onsessionclosed', onsessionclosed)
    };
  }

  #callback(name: string, behaviour: CallbackBehaviour = 'returns') {
    if (behaviour === 'is absent') return undefined;
    return (sessionId: string): void | Promise<void> => {
      this.#record({ [name]: sessionId });
      const problem = new Error(`${name} fails`);
      if (behaviour === 'throws') throw problem;
      if (behaviour === 'rejects') return Promise.reject(problem);
      if (behaviour === 'takes a turn') return new Promise(resolve => setImmediate(resolve));
      if (behaviour === 'waits') return this.#released;
      if (behaviour === 'closes') return this.#transport.close();
    };
  }
}

/** Turns of the event loop: what is on its way within this process arrives. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

/** What of the extra info a server can see: functions by their presence. */
function seen(extra: (MessageExtraInfo & { request?: globalThis.Request }) | undefined): unknown {
  if (!extra) return undefined;
  const { authInfo, requestInfo, request } = extra;
  return {
    authInfo,
    headers: request ? Object.fromEntries(request.headers.entries()) : requestInfo?.headers,
    url: request ? request.url : requestInfo?.url?.href,
    closeSSEStream: typeof extra.closeSSEStream,
    closeStandaloneSSEStream: typeof extra.closeStandaloneSSEStream
  };
}
