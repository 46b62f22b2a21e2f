import { ErrorCode, type JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventCursorError } from '../../errors.js';
import type { Connection, Stream } from './connection.js';
import type { EventLog } from './eventLog.js';
import type { EventSink, Exchange } from '../http/exchange.js';
import type { WaitBudget } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { OtherPods } from '../context.js';
import { Follower } from './logFollower.js';
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
    if (this.#log.tellsStreams) {
      streamId = await this.#streamKeptAs(await this.#log.streamOf(lastEventId));
      if (streamId === undefined) return this.#refusalOf(lastEventId);
    }
    let events: Map<string, JSONRPCMessage> | undefined;
    if (streamId === undefined) {
      // This store reports the stream only after a replay.
      const read = new Map<string, JSONRPCMessage>();
      const keep = async (id: string, message: JSONRPCMessage): Promise<void> => void read.set(id, message);
      const name = await this.#log.replayAfter(lastEventId, keep).catch(ifNotKept);
      events = read;
      streamId = await this.#streamKeptAs(name);
      if (streamId === undefined) return this.#refusalOf(lastEventId);
    }
    const stream = this.#streams.streamNamed(streamId);
    if (!this.#takeover) {
      const held = await this.#isHeldElsewhere(stream, waits);
      // Checked after the question to the other pods: a GET may have taken the stream meanwhile.
      const taken = stream.connection && !stream.connection.replaying;
      if (held || (taken && this.#log.tellsStreams)) return 'conflict';
    }
    // A client that has left may have reconnected already. This request must not replace its new stream.
    if (client.gone || this.#streams.closed) return 'closed';
    stream.connection?.close();

    const connection = this.#streams.attach(stream, sink, takesCursors);
    // The SDK's client keeps a cursor only for the connection that sent it, and this one may end before any event.
    if (this.#owners) connection.giveCursor(lastEventId);
    connection.hold();
    const follower = new Follower(connection, lastEventId, this.#log, this.#report, this.#owners !== undefined);
    const { requestIds } = parseStreamId(stream.id);
    if (this.#owners) follower.expect(requestIds, finalCursorOf(this.#streams.sessionId));
    events?.forEach((message, eventId) => follower.add(eventId, message));
    const open = this.#streams.openStream(stream.id);
    let over = false;
    try {
      if (open || !this.#owners) {
        if (open) await this.#comeBack(open, waits);
        // Answers on this pod wait for the log, so one read is enough.
        if (!events) await follower.read();
      } else {
        over = await this.#followOwner(stream, follower, this.#owners, lastEventId, waits);
      }
    } catch (error) {
      connection.release();
      connection.close();
      throw error;
    }
    // close() may have run, or the client may have left, while the store was replaying.
    if (this.#streams.closed || connection.ended) return 'closed';
    connection.release();
    return over ? 'over' : undefined;
  }

  /** Follows the log of a GET stream that begins here: other pods may write to it. */
  follow(connection: Connection, cursor: string): void {
    if (!this.#log.tellsLatest) return;
    const stream = { id: streamIdOf(this.#streams.sessionId, STANDALONE) };
    new Follower(connection, cursor, this.#log, this.#report, true).follow(stream, true);
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
    return isStandalone && !connection && ((await this.#owners?.standaloneIsHeld(waits)) ?? false);
  }

  /** The client is back on the pod that runs its request. The pod that served it meanwhile can close its connection. */
  async #comeBack(stream: RequestStream, waits: WaitBudget): Promise<void> {
    // The resume itself proves that the client has a cursor.
    stream.resumable = true;
    if (!stream.moved) return;
    stream.moved = false;
    await this.#owners?.streamEnded(stream.id, waits);
  }

  /**
   * Resumes a stream whose events come from another pod, or from a pod that is gone.
   * @returns whether the client has received all events: some clients resume after an error that ended the stream
   */
  async #followOwner(
    stream: Stream,
    follower: Follower,
    owners: OtherPods,
    lastEventId: string,
    waits: WaitBudget
  ): Promise<boolean> {
    const { owner } = parseStreamId(stream.id);
    // If the event store cannot be followed, the GET stream gets its events from their senders.
    if (owner !== undefined || this.#log.tellsLatest) follower.follow(stream);
    await owners.announce(stream.id, waits);
    await follower.read();
    if (owner === undefined) return false;

    if (!follower.complete) {
      const state = owner === owners.instance ? 'done' : await owners.ask(stream.id, waits);
      // Events that were logged while the owner was asked. After its answer, events arrive over the bus.
      await follower.read();
      if (state === 'open' || state === 'unasked') {
        // While the bus is down the owner cannot be asked: it is asked again when the bus is back.
        this.#watch(stream, follower, owners);
        return false;
      }
      if (state === 'gone' && follower.unanswered.length > 0) {
        await this.#answerForTheDead(stream, follower);
        follower.connection.close();
        return false;
      }
    }
    follower.connection.close();
    return follower.cursor === lastEventId;
  }

  /** Asks for the owner's state at an interval as long as the client waits here. */
  #watch(stream: Stream, follower: Follower, owners: OtherPods): void {
    const { connection } = follower;
    const look = async (): Promise<void> => {
      const state = await owners.ask(stream.id);
      if (connection.ended) return;
      // Events may have been logged without a message to this pod.
      await follower.read();
      if (state === 'open' || state === 'unasked') return;
      if (state === 'gone') await this.#answerForTheDead(stream, follower);
      connection.close();
    };
    connection.every(this.#leaseMs, () => void look().catch(this.#report));
  }

  /** Answers the requests of a pod that is gone with errors, and logs these. Else the client would wait forever. */
  async #answerForTheDead(stream: Stream, follower: Follower): Promise<void> {
    const { unanswered } = follower;
    for (const id of unanswered) {
      const message: JSONRPCMessage = {
        jsonrpc: '2.0',
        id,
        error: { code: ErrorCode.ConnectionClosed, message: 'The server that ran this request is gone' }
      };
      const isLast = id === unanswered.at(-1);
      const eventId = await (isLast ? this.#log.appendLast(stream, message) : this.#log.append(stream, message));
      if (eventId === undefined) await follower.connection.deliver(message, undefined);
      else follower.add(eventId, message);
    }
  }

  /**
   * The id of the session's stream that the store keeps under this name. A store may rename streams: then the name
   * belongs to the session only if the store returns it for an event that this pod has stored for the session.
   */
  async #streamKeptAs(name: string | undefined): Promise<string | undefined> {
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
