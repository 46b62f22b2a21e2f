import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { clearTimeout, performance, setTimeout } from '../../timers.js';
import type { SessionContext, StreamState } from '../context.js';
import { isRequest } from '../http/jsonRpc.js';
import type { Outbound } from '../streams/outbound.js';
import { parseStreamId, STANDALONE } from '../streams/streamId.js';
import type { BusBody, BusMessage } from './busMessage.js';
import { type HeldMessage, HeldMessages } from './heldMessages.js';
import type { Peers } from './peers.js';

/** How long the holder of a standalone stream has to object to a second one. */
const OBJECTION_MS = 200;
/** An announcement that has not come back from the bus after this time is lost. */
const ECHO_MS = 1000;
/** Messages of other pods that are remembered, so that none is written twice. */
const MAX_REMEMBERED = 500;

type MessageOf<Type extends BusBody['type']> = Extract<BusMessage, { type: Type }>;

/** Which pod has which stream of the session's client: made when a session first needs it. */
export class StreamOwnership {
  readonly #context: SessionContext;
  readonly #outbound: Outbound;
  readonly #peers: Peers;
  /** Who waits for another pod's reply, by the stream that it is about. */
  readonly #questions = new Map<string, Set<(answer: StreamState) => void>>();
  /** When this pod announced standalone streams, until it hears its own announcement. */
  #unheard: number[] = [];
  /** Messages of this pod's server that no pod has acknowledged. */
  #held: HeldMessages | undefined;
  #lastSeq = 0;
  /** Messages of other pods that were written here, as `<sender>:<number>`. */
  #written: Set<string> | undefined;
  /** By sender, the messages that are to be acknowledged in this turn. */
  #unacknowledged: Map<string, number[]> | undefined;

  constructor(context: SessionContext, outbound: Outbound, peers: Peers) {
    this.#context = context;
    this.#outbound = outbound;
    this.#peers = peers;
  }

  /** Forgets what waits. */
  close(): void {
    this.#held?.clear();
  }

  /**
   * Sends a message to the pod that holds the standalone stream. It is kept until that pod acknowledges it, because the
   * client may be opening its stream at this moment.
   */
  async toStandalone(message: JSONRPCMessage, eventId: string | undefined): Promise<void> {
    // For a server that runs elsewhere nobody hears the acknowledgement.
    const seq = this.#context.hasServer ? ++this.#lastSeq : undefined;
    if (seq !== undefined) (this.#held ??= new HeldMessages()).add(seq, message, eventId);
    await this.#publish({ type: 'standalone', message, eventId, seq });
  }

  /** A message of this pod's server is in the log now. */
  storedLate(message: JSONRPCMessage, eventId: string): void {
    this.#held?.storedLate(message, eventId);
  }

  /**
   * The client's standalone stream is attached here now.
   * @param resumed - whether the client has named the last event that it has seen
   * @param since - when its request came, by `performance.now()`
   */
  async standaloneOpened(resumed: boolean, since: number): Promise<void> {
    const now = performance.now();
    this.#unheard.push(now);
    // Published before anything is written, so that no other pod writes to its older stream after this one.
    const openingMs = Math.max(0, now - since);
    const published = this.#publish({ type: 'standalone-opened', resumed, acknowledges: true, openingMs });
    for (const { message, eventId } of this.#waitingFor(resumed, since)) {
      void this.#outbound.writeTo(STANDALONE, message, eventId).catch(this.#context.report);
    }
    this.#held?.clear();
    if (await published) return;
    const index = this.#unheard.indexOf(now);
    if (index >= 0) this.#unheard.splice(index, 1);
  }

  /** Whether another pod holds the client's standalone stream and keeps it. */
  async standaloneIsHeld(): Promise<boolean> {
    return (await this.#question(STANDALONE, { type: 'standalone-wanted' }, OBJECTION_MS)) === 'open';
  }

  async announce(streamId: string): Promise<void> {
    const isStandalone = parseStreamId(streamId).owner === undefined;
    await (isStandalone
      ? this.standaloneOpened(true, performance.now())
      : this.#publish({ type: 'stream-resumed', streamId }));
  }

  ask(streamId: string): Promise<StreamState> {
    return this.#question(streamId, { type: 'stream-resumed', streamId }, this.#context.options.leaseMs);
  }

  answer(about: string, state: StreamState): void {
    for (const settle of this.#questions.get(about) ?? []) settle(state);
  }

  /** The bus has brought back this pod's own announcement. */
  onEcho(): void {
    this.#unheard.shift();
  }

  /** Another pod's server has sent a message on the standalone stream. */
  async onStandalone({ from, message, eventId, seq, to }: MessageOf<'standalone'>): Promise<void> {
    if (seq !== undefined) {
      // The sender has not heard yet that the stream is here. When it does, it sends its messages again, in their order.
      if (to === undefined && this.#awaitsEcho()) return;
      if (!this.#outbound.holdsStandaloneStream) return;
      this.#acknowledge(from, seq);
      if (!this.#isNew(`${from}:${seq}`)) return;
    }
    await this.#outbound.writeTo(STANDALONE, message, eventId);
  }

  /** Another pod has opened the standalone stream. */
  async onStandaloneOpened(opened: MessageOf<'standalone-opened'>): Promise<void> {
    const { from, resumed = false, acknowledges, openingMs = 0 } = opened;
    // Of several streams that are opened at once, the one that the bus announces last stays: until this pod hears its
    // own announcement, those that it hears are older.
    if (this.#awaitsEcho()) return;
    this.#outbound.closeStandaloneStream();
    const waiting = this.#waitingFor(resumed, performance.now() - openingMs);
    // A pod of an older version does not acknowledge.
    if (!acknowledges) this.#held?.clear();
    for (const { seq, message, eventId } of waiting) {
      void this.#publish({ type: 'standalone', to: from, message, eventId, seq });
    }
  }

  /** Another pod holds the standalone stream, and has written these messages. */
  onStandaloneHeld({ seqs }: MessageOf<'standalone-held'>): void {
    if (seqs) this.#held?.remove(seqs);
    this.answer(STANDALONE, 'open');
  }

  /**
   * What waits for the standalone stream. A client that has resumed it reads from the log what was logged.
   * @param since - when the client's GET came, by `performance.now()`. One process drops a notification that is sent
   *   before that. A question is worth a second try: its server waits, and the client's call may have overtaken its GET.
   */
  #waitingFor(resumed: boolean, since: number): readonly HeldMessage[] {
    const waiting = (this.#held?.waiting ?? []).filter(({ message, sentAt }) => sentAt >= since || isRequest(message));
    return resumed ? waiting.filter(({ eventId }) => eventId === undefined) : waiting;
  }

  #awaitsEcho(): boolean {
    while (this.#unheard.length > 0 && this.#unheard[0]! < performance.now() - ECHO_MS) this.#unheard.shift();
    return this.#unheard.length > 0;
  }

  #isNew(id: string): boolean {
    const written = (this.#written ??= new Set());
    if (written.has(id)) return false;
    written.add(id);
    if (written.size > MAX_REMEMBERED) written.delete(written.values().next().value as string);
    return true;
  }

  /** Acknowledges at the end of the turn, together with what else has come in it. */
  #acknowledge(to: string, seq: number): void {
    if (!this.#unacknowledged) {
      this.#unacknowledged = new Map();
      setTimeout(() => {
        const all = this.#unacknowledged ?? [];
        this.#unacknowledged = undefined;
        for (const [sender, seqs] of all) void this.#publish({ type: 'standalone-held', to: sender, seqs });
      }, 0);
    }
    const seqs = this.#unacknowledged.get(to);
    if (seqs) seqs.push(seq);
    else this.#unacknowledged.set(to, [seq]);
  }

  /** Publishes a question and waits for an answer: 'gone' when none comes, 'unasked' when it could not be asked. */
  async #question(about: string, body: BusBody, timeoutMs: number): Promise<StreamState> {
    const waiting = this.#questions.get(about) ?? new Set();
    this.#questions.set(about, waiting);
    let timer: ReturnType<typeof setTimeout> | undefined;
    let settle: (state: StreamState) => void = () => {};
    const answered = new Promise<StreamState>(resolve => {
      settle = resolve;
      timer = setTimeout(() => resolve('gone'), timeoutMs);
      waiting.add(resolve);
    });
    if (!(await this.#publish(body))) settle('unasked');
    try {
      return await answered;
    } finally {
      clearTimeout(timer);
      waiting.delete(settle);
      if (waiting.size === 0) this.#questions.delete(about);
    }
  }

  /** @returns whether the bus took it; a failure has been reported */
  async #publish(body: BusBody): Promise<boolean> {
    const { sessionId } = this.#context;
    return sessionId !== undefined && this.#peers.publish(sessionId, body);
  }
}
