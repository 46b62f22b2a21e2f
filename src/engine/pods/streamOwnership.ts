import type { JSONRPCMessage } from '../../sdkTypes.js';
import type { WaitBudget } from '../../deadline.js';
import { clearTimeout, performance, setTimeout } from '../../timers.js';
import type { SessionContext, StreamState } from '../context.js';
import { isRequest } from '../http/jsonRpc.js';
import type { SessionStreams } from '../streams/sessionStreams.js';
import { parseStreamId, STANDALONE } from '../streams/streamId.js';
import type { BusBody, BusMessage } from './busMessage.js';
import { type UnacknowledgedMessage, UnacknowledgedMessages } from './unacknowledgedMessages.js';
import type { Peers } from './peers.js';

/** How long the pod with the standalone stream may take to object to a second one. */
const OBJECTION_MS = 200;
/** If the bus does not return an announcement within this time, it is lost. */
const ANNOUNCEMENT_MS = 1000;
/** How many messages of other pods are remembered, so that no message is written twice. */
const MAX_REMEMBERED = 500;

type MessageOf<Type extends BusBody['type']> = Extract<BusMessage, { type: Type }>;

/** Tracks which pod has which stream of the session's client. Created when a session first needs it. */
export class StreamOwnership {
  readonly #context: SessionContext;
  readonly #streams: SessionStreams;
  readonly #peers: Peers;
  /** The callers that wait for another pod's reply, by stream. */
  readonly #questions = new Map<string, Set<(answer: StreamState) => void>>();
  /** When this pod announced standalone streams. An entry is removed when the bus returns the announcement. */
  #announcedAt: number[] = [];
  /** Messages of this pod's server that were not acknowledged. */
  #unacknowledged: UnacknowledgedMessages | undefined;
  #lastSeq = 0;
  /** Messages of other pods that were written here, as `<sender>:<number>`. */
  #written: Set<string> | undefined;
  /** The messages to acknowledge in this turn, by sender. */
  #toAcknowledge: Map<string, number[]> | undefined;

  constructor(context: SessionContext, streams: SessionStreams, peers: Peers) {
    this.#context = context;
    this.#streams = streams;
    this.#peers = peers;
  }

  /** Drops the waiting messages. */
  close(): void {
    this.#unacknowledged?.clear();
  }

  /**
   * Sends a message to the pod that holds the standalone stream. It is kept until that pod acknowledges it, because the
   * client may be opening its stream at this moment.
   */
  async toStandalone(message: JSONRPCMessage, eventId: string | undefined): Promise<void> {
    // If the server runs on another pod, this pod cannot use the acknowledgement.
    const seq = this.#context.hasServer ? ++this.#lastSeq : undefined;
    if (seq !== undefined) (this.#unacknowledged ??= new UnacknowledgedMessages()).add(seq, message, eventId);
    await this.#publish({ type: 'standalone', message, eventId, seq });
  }

  /** A message of this pod's server is in the log now. */
  storedLate(message: JSONRPCMessage, eventId: string): void {
    this.#unacknowledged?.storedLate(message, eventId);
  }

  /**
   * The client's standalone stream is attached here now.
   * @param resumed - whether the client sent `Last-Event-ID`
   * @param since - when its request arrived, by `performance.now()`
   */
  async standaloneOpened(resumed: boolean, since: number, waits?: WaitBudget): Promise<void> {
    const now = performance.now();
    this.#announcedAt.push(now);
    // Publish before writing, so that no other pod writes to its older stream after this.
    const openingMs = Math.max(0, now - since);
    const published = this.#publish({ type: 'standalone-opened', resumed, acknowledges: true, openingMs }, waits);
    for (const { message, eventId } of this.#waitingFor(resumed, since)) {
      void this.#streams.writeTo(STANDALONE, message, eventId).catch(this.#context.report);
    }
    this.#unacknowledged?.clear();
    if (await published) return;
    const index = this.#announcedAt.indexOf(now);
    if (index >= 0) this.#announcedAt.splice(index, 1);
  }

  /** Whether another pod holds the client's standalone stream and keeps it. */
  async standaloneIsHeldElsewhere(waits?: WaitBudget): Promise<boolean> {
    return (await this.#question(STANDALONE, { type: 'standalone-wanted' }, OBJECTION_MS, waits)) === 'open';
  }

  async announce(streamId: string, waits?: WaitBudget): Promise<void> {
    const isStandalone = parseStreamId(streamId).owner === undefined;
    await (isStandalone
      ? this.standaloneOpened(true, performance.now(), waits)
      : this.#publish({ type: 'stream-resumed', streamId }, waits));
  }

  ask(streamId: string, waits?: WaitBudget): Promise<StreamState> {
    return this.#question(streamId, { type: 'stream-resumed', streamId }, this.#context.options.leaseMs, waits);
  }

  answer(about: string, state: StreamState): void {
    for (const settle of this.#questions.get(about) ?? []) settle(state);
  }

  /** The bus has returned this pod's own announcement. */
  onOwnAnnouncement(): void {
    this.#announcedAt.shift();
  }

  /** Another pod's server has sent a message on the standalone stream. */
  async onStandalone({ from, message, eventId, seq, to }: MessageOf<'standalone'>): Promise<void> {
    if (seq !== undefined) {
      // The sender does not know yet that the stream is here. When it knows, it sends its messages again in order.
      if (to === undefined && this.#awaitsOwnAnnouncement()) return;
      if (!this.#streams.holdsStandaloneStream) return;
      this.#acknowledge(from, seq);
      if (!this.#isNew(`${from}:${seq}`)) return;
    }
    await this.#streams.writeTo(STANDALONE, message, eventId);
  }

  /** Another pod has opened the standalone stream. */
  async onStandaloneOpened(opened: MessageOf<'standalone-opened'>): Promise<void> {
    const { from, resumed = false, acknowledges, openingMs = 0 } = opened;
    // If several streams are opened at the same time, the one that the bus announces last stays. Until this pod
    // receives its own announcement, the announcements that it receives are older.
    if (this.#awaitsOwnAnnouncement()) return;
    this.#streams.replaceStandaloneStream('other-pod');
    const waiting = this.#waitingFor(resumed, performance.now() - openingMs);
    // A pod of an older version does not acknowledge.
    if (!acknowledges) this.#unacknowledged?.clear();
    for (const { seq, message, eventId } of waiting) {
      void this.#publish({ type: 'standalone', to: from, message, eventId, seq });
    }
  }

  /** Another pod holds the standalone stream, and has written these messages. */
  onStandaloneHeld({ seqs }: MessageOf<'standalone-held'>): void {
    if (seqs) this.#unacknowledged?.remove(seqs);
    this.answer(STANDALONE, 'open');
  }

  /**
   * The messages to write to the standalone stream. If the client has resumed it, logged messages come from the log.
   * @param since - when the client's GET arrived, by `performance.now()`. Older notifications are dropped, as in one
   *   process. Older requests are sent: the server waits, and the client's call may have overtaken its GET
   */
  #waitingFor(resumed: boolean, since: number): readonly UnacknowledgedMessage[] {
    const waiting = (this.#unacknowledged?.waiting ?? []).filter(
      ({ message, sentAt }) => sentAt >= since || isRequest(message)
    );
    return resumed ? waiting.filter(({ eventId }) => eventId === undefined) : waiting;
  }

  #awaitsOwnAnnouncement(): boolean {
    while (this.#announcedAt.length > 0 && this.#announcedAt[0]! < performance.now() - ANNOUNCEMENT_MS)
      this.#announcedAt.shift();
    return this.#announcedAt.length > 0;
  }

  #isNew(id: string): boolean {
    const written = (this.#written ??= new Set());
    if (written.has(id)) return false;
    written.add(id);
    if (written.size > MAX_REMEMBERED) written.delete(written.values().next().value as string);
    return true;
  }

  /** Acknowledges at the end of the turn, together with the other messages of the turn. */
  #acknowledge(to: string, seq: number): void {
    if (!this.#toAcknowledge) {
      this.#toAcknowledge = new Map();
      setTimeout(() => {
        const all = this.#toAcknowledge ?? [];
        this.#toAcknowledge = undefined;
        for (const [sender, seqs] of all) void this.#publish({ type: 'standalone-held', to: sender, seqs });
      }, 0);
    }
    const seqs = this.#toAcknowledge.get(to);
    if (seqs) seqs.push(seq);
    else this.#toAcknowledge.set(to, [seq]);
  }

  /**
   * Publishes a question and waits for an answer: 'gone' if none arrives, 'unasked' if the bus did not take the
   * question.
   */
  async #question(
    about: string,
    body: BusBody,
    timeoutMs: number,
    waits: WaitBudget | undefined
  ): Promise<StreamState> {
    const waiting = this.#questions.get(about) ?? new Set();
    this.#questions.set(about, waiting);
    let timer: ReturnType<typeof setTimeout> | undefined;
    let settle: (state: StreamState) => void = () => {};
    const answered = new Promise<StreamState>(resolve => {
      settle = resolve;
      waiting.add(resolve);
    });
    // An owner that nobody has asked yet, because the bus is slow, is not gone.
    if (await this.#publish(body, waits)) timer = setTimeout(() => settle('gone'), timeoutMs);
    else settle('unasked');
    try {
      return await answered;
    } finally {
      clearTimeout(timer);
      waiting.delete(settle);
      if (waiting.size === 0) this.#questions.delete(about);
    }
  }

  /** @returns whether the bus took it; a failure has been reported */
  async #publish(body: BusBody, waits?: WaitBudget): Promise<boolean> {
    const { sessionId } = this.#context;
    return sessionId !== undefined && this.#peers.publish(sessionId, body, waits);
  }
}
