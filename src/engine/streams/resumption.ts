import type { JSONRPCMessage } from '../../sdkTypes.js';
import { EventCursorError } from '../../errors.js';
import type { Connection, Stream } from './connection.js';
import type { EventLog } from './eventLog.js';
import type { EventSink, Exchange } from '../http/exchange.js';
import { TRANSPORT_ERROR } from '../http/replies.js';
import type { WaitBudget } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { OtherPods } from '../context.js';
import { LogDelivery, type LogDeliveryOptions } from './logDelivery.js';
import type { SessionStreams } from './sessionStreams.js';
import type { RequestStream } from './openRequests.js';
import {
  belongsToSession,
  finalCursorOf,
  isEventOf,
  isFinalCursor,
  parseStreamId,
  STANDALONE,
  streamIdOf
} from './streamId.js';

/** Why a stream is not resumed. `expired`: the cursor is from the session's GET stream, whose log is gone or was cut. */
export type Refusal = 'invalid-cursor' | 'expired' | 'conflict' | 'closed' | 'over';

/** Resumes streams for clients with a cursor, whichever pod runs the stream's requests. */
export class Resumption {
  readonly #streams: SessionStreams;
  readonly #log: EventLog;
  readonly #owners: OtherPods | undefined;
  readonly #takeover: boolean;
  readonly #leaseMs: number;
  readonly #report: ReportError;

  constructor(
    streams: SessionStreams,
    log: EventLog,
    owners: OtherPods | undefined,
    options: { takeover: boolean; leaseMs: number },
    report: ReportError
  ) {
    this.#streams = streams;
    this.#log = log;
    this.#owners = owners;
    this.#takeover = options.takeover;
    this.#leaseMs = options.leaseMs;
    this.#report = report;
  }

  /**
   * Replays the events after an event, then continues the stream live.
   * @param takesCursors - whether the client understands an event without data
   * @param waits - the exchange's, for messages to other pods; the log has more time: {@link EventLog.replayAfter}
   * @returns why not: the id names no stream of this session, its stream has a client, the transport closed or the
   *   client has left, or nothing follows the event any more
   * @throws the errors of the event store
   */
  async resume(
    lastEventId: string,
    client: Pick<Exchange, 'gone'>,
    sink: EventSink,
    takesCursors: boolean,
    waits: WaitBudget
  ): Promise<Refusal | undefined> {
    if (this.#owners && isFinalCursor(this.#streams.sessionId, lastEventId)) return 'over';
    let streamId: string | undefined;
    if (this.#log.knowsStreams) {
      streamId = await this.#streamIdFor(await this.#log.streamOf(lastEventId));
      if (streamId === undefined) return this.#refusalOf(lastEventId);
    }
    let events: Map<string, JSONRPCMessage> | undefined;
    if (streamId === undefined) {
      // This store reports the stream only after a replay.
      const read = new Map<string, JSONRPCMessage>();
      const keep = async (id: string, message: JSONRPCMessage): Promise<void> => void read.set(id, message);
      const name = await this.#log.replayAfter(lastEventId, keep).catch(ifNotKept);
      events = read;
      streamId = await this.#streamIdFor(name);
      if (streamId === undefined) return this.#refusalOf(lastEventId);
    }
    const stream = this.#streams.streamNamed(streamId);
    const isStart = lastEventId === this.#log.startOf(stream);
    // The store does not know whether a stream began. This pod, or the name of a request's stream, does.
    if (isStart && this.#owners && parseStreamId(streamId).owner === undefined) return this.#refusalOf(lastEventId);
    if (!this.#takeover) {
      const isHeldElsewhere = await this.#isHeldElsewhere(stream, waits);
      // Checked after the question to the other pods: a GET may have taken the stream meanwhile.
      const taken = stream.connection && !stream.connection.delivery?.isReplaying;
      if (isHeldElsewhere || (taken && this.#log.knowsStreams)) return 'conflict';
    }
    // A client that has left may have reconnected already. This request must not replace its new stream.
    if (client.gone || this.#streams.closed) return 'closed';
    if (stream === this.#streams.standalone) this.#streams.replaceStandaloneStream('this-pod');
    else stream.connection?.close();

    const delivery = this.#attach(stream, sink, takesCursors, lastEventId);
    const { connection } = delivery;
    events?.forEach((message, eventId) => delivery.deliverLogged(eventId, message));
    const isOpen = this.#streams.openStream(stream.id) !== undefined;
    const before = connection.cursors;
    let refusal: Refusal | undefined;
    try {
      refusal = await this.#catchUp(stream, delivery, { lastEventId, isStart, isRead: events !== undefined }, waits);
    } catch (error) {
      delivery.endReplay();
      connection.close();
      // Events after the start of a long stream were removed.
      if (isStart && error instanceof EventCursorError) return 'invalid-cursor';
      throw error;
    }
    // close() may have run, or the client may have left, while the store was replaying.
    if (this.#streams.closed || connection.ended) return 'closed';
    this.#note(stream, connection.cursors - before, isOpen);
    delivery.endReplay();
    return refusal;
  }

  /**
   * Delivers what the log has, and connects the client to the pod that runs the stream's requests.
   * @param from - the client's cursor, and whether the log was read already
   * @returns why not: nothing was replayed, and nothing will follow
   */
  async #catchUp(
    stream: Stream,
    delivery: LogDelivery,
    { lastEventId, isStart, isRead }: { lastEventId: string; isStart: boolean; isRead: boolean },
    waits: WaitBudget
  ): Promise<Refusal | undefined> {
    const open = this.#streams.openStream(stream.id);
    if (!open && this.#owners) {
      const over = await this.#followOwner(stream, delivery, this.#owners, lastEventId, waits);
      return over ? 'over' : undefined;
    }
    if (open) await this.#clientReturned(open, waits);
    // Answers on this pod wait for the log, so one read is enough.
    if (!isRead) await delivery.read();
    if (open) return undefined;
    const { dialect } = this.#streams.options;
    const isEmpty = isStart && delivery.cursor === lastEventId;
    const isOver = dialect.endsResumedStreams && stream !== this.#streams.standalone;
    if (isEmpty || isOver) delivery.connection.close();
    return isEmpty ? 'invalid-cursor' : undefined;
  }

  /** Connects the client to the stream. Until the replay has ended, other messages wait. */
  #attach(stream: Stream, sink: EventSink, takesCursors: boolean, cursor: string): LogDelivery {
    const connection = this.#streams.attach(stream, sink, takesCursors);
    // The SDK's client keeps a cursor only for the connection that sent it, and this one may end before any event.
    if (this.#owners) connection.giveCursor(cursor);
    const { requestIds } = parseStreamId(stream.id);
    const delivery = this.#newDelivery(
      connection,
      cursor,
      this.#owners && { requestIds, finalCursor: finalCursorOf(this.#streams.sessionId) }
    );
    delivery.startReplay();
    return delivery;
  }

  /** Follows the log of a GET stream that begins here: other pods may write to it. */
  followNewStandalone(connection: Connection, cursor: string): void {
    if (!this.#log.knowsLatest) return;
    const stream = { id: streamIdOf(this.#streams.sessionId, STANDALONE) };
    this.#newDelivery(connection, cursor).follow(stream, true);
  }

  #newDelivery(
    connection: Connection,
    cursor: string,
    ends?: Pick<LogDeliveryOptions, 'requestIds' | 'finalCursor'>
  ): LogDelivery {
    const isShared = this.#owners !== undefined;
    const delivery = new LogDelivery(connection, { cursor, log: this.#log, report: this.#report, isShared, ...ends });
    connection.deliverBy(delivery);
    return delivery;
  }

  /**
   * The reason to refuse an id that the log does not know. A forged id of the own GET stream gives only a new GET
   * stream.
   */
  #refusalOf(eventId: string): Refusal {
    const isOwn = this.#owners && isEventOf(streamIdOf(this.#streams.sessionId, STANDALONE), eventId);
    return isOwn ? 'expired' : 'invalid-cursor';
  }

  async #isHeldElsewhere({ id, connection }: Stream, waits: WaitBudget): Promise<boolean> {
    const isStandalone = id === streamIdOf(this.#streams.sessionId, STANDALONE);
    return isStandalone && !connection && ((await this.#owners?.standaloneIsHeldElsewhere(waits)) ?? false);
  }

  /** The client is back on the pod that runs its request. The pod that served it meanwhile can close its connection. */
  async #clientReturned(stream: RequestStream, waits: WaitBudget): Promise<void> {
    // The resume itself proves that the client has a cursor.
    stream.resumable = true;
    if (!stream.isOnOtherPod) return;
    stream.isOnOtherPod = false;
    await this.#owners?.streamEnded(stream.id, waits);
  }

  /**
   * Resumes a stream whose events come from another pod, or from a pod that is gone.
   * @returns whether the client has received all events: some clients resume after an error that ended the stream
   */
  async #followOwner(
    stream: Stream,
    delivery: LogDelivery,
    owners: OtherPods,
    lastEventId: string,
    waits: WaitBudget
  ): Promise<boolean> {
    const { owner } = parseStreamId(stream.id);
    // If the event store cannot be followed, the GET stream gets its events from their senders.
    if (owner !== undefined || this.#log.knowsLatest) delivery.follow(stream);
    await owners.announce(stream.id, waits);
    await delivery.read();
    if (owner === undefined) return false;

    if (!delivery.complete) {
      const state = owner === owners.instance ? 'done' : await owners.ask(stream.id, waits);
      // Events that were logged while the owner was asked. After its answer, events arrive over the bus.
      await delivery.read();
      if (state === 'open' || state === 'unasked') {
        // While the bus is down the owner cannot be asked: it is asked again when the bus is back.
        this.#watch(stream, delivery, owners);
        return false;
      }
      if (state === 'gone' && delivery.unanswered.length > 0) {
        await this.#answerForLostPod(stream, delivery);
        delivery.connection.close();
        return false;
      }
    }
    delivery.connection.close();
    return delivery.cursor === lastEventId;
  }

  #note(stream: Stream, replayed: number, isOwner: boolean): void {
    const { sessionId, standalone, options } = this.#streams;
    if (!options.events.hasStreamListeners) return;
    const kind = stream.id === standalone.id ? 'standalone' : 'request';
    const owner = isOwner || kind === 'standalone' ? 'this-pod' : 'other-pod';
    options.events.stream(sessionId, { type: 'resumed', kind, replayed, owner });
  }

  /** Asks for the owner's state at an interval as long as the client waits here. */
  #watch(stream: Stream, delivery: LogDelivery, owners: OtherPods): void {
    const { connection } = delivery;
    const look = async (): Promise<void> => {
      const state = await owners.ask(stream.id);
      if (connection.ended) return;
      // Events may have been logged without a message to this pod.
      await delivery.read();
      if (state === 'open' || state === 'unasked') return;
      if (state === 'gone') await this.#answerForLostPod(stream, delivery);
      connection.close();
    };
    connection.every(this.#leaseMs, () => void look().catch(this.#report));
  }

  /** Answers the requests of a pod that is gone with errors, and logs these. Else the client would wait forever. */
  async #answerForLostPod(stream: Stream, delivery: LogDelivery): Promise<void> {
    const { unanswered } = delivery;
    const { sessionId, options } = this.#streams;
    if (options.events.hasStreamListeners) {
      options.events.stream(sessionId, { type: 'owner-gone', requests: unanswered.length });
    }
    for (const id of unanswered) {
      const message: JSONRPCMessage = {
        jsonrpc: '2.0',
        id,
        error: { code: TRANSPORT_ERROR, message: 'The server that ran this request is gone' }
      };
      const isLast = id === unanswered.at(-1);
      const eventId = await (isLast ? this.#log.appendLast(stream, message) : this.#log.append(stream, message));
      if (eventId === undefined) await delivery.connection.deliver(message, undefined);
      else delivery.deliverLogged(eventId, message);
    }
  }

  /**
   * The id of the session's stream that the store keeps under this name. A store may rename streams: then the name
   * belongs to the session only if the store returns it for an event that this pod has stored for the session.
   */
  async #streamIdFor(name: string | undefined): Promise<string | undefined> {
    if (name === undefined || name === '') return undefined;
    if (belongsToSession(name, this.#streams.sessionId)) return name;
    for (const { id, lastEventId } of this.#streams.loggedStreams) {
      // An event that the store no longer keeps proves nothing.
      const known = await this.#log.nameOf(lastEventId!).catch(() => undefined);
      if (known === name) return id;
    }
    return undefined;
  }
}

/** @throws errors that are not about the event itself */
function ifNotKept(error: unknown): undefined {
  if (!(error instanceof EventCursorError)) throw error;
}
