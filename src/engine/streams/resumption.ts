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

/** Why a stream is not resumed. `expired`: the cursor was one of the session's GET stream, whose log is gone or was cut. */
export type Refusal = 'invalid-cursor' | 'expired' | 'conflict' | 'closed' | 'over';

/** Continues streams for clients that come back with a cursor, whichever pod runs what the stream answers. */
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
   * Replays what followed an event, and goes on live on the same stream.
   * @param takesCursors - whether the client understands an event without data
   * @param waits - of the exchange, for the messages to other pods; the log has more time, see {@link EventLog.replayAfter}
   * @returns why not: the id names no stream of this session, its stream has a client, the transport closed or the client
   * has left, or nothing follows the event any more
   * @throws what the event store throws
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
      // This store tells the stream only when it has replayed it.
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
      // Asked behind that: a GET may have taken the stream while the other pods were asked.
      const taken = stream.connection && !stream.connection.replaying;
      if (held || (taken && this.#log.tellsStreams)) return 'conflict';
    }
    // A client that has left may be back already, on a stream that this one must not replace.
    if (client.gone || this.#streams.closed) return 'closed';
    stream.connection?.close();

    const connection = this.#streams.attach(stream, sink, takesCursors);
    // The SDK's client forgets its cursor with the connection that gave it, and this one may end before any event.
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
        // Whoever answers here has waited for the log, so one look is enough.
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

  /** A stream that begins here, and that other pods write to. */
  follow(connection: Connection, cursor: string): void {
    if (!this.#log.tellsLatest) return;
    const stream = { id: streamIdOf(this.#streams.sessionId, STANDALONE) };
    new Follower(connection, cursor, this.#log, this.#report, true).follow(stream, true);
  }

  /** Why an id that the log does not know is refused. Who forges one for the own GET stream gains what a new GET gives. */
  #refusalOf(eventId: string): Refusal {
    const isOwn = this.#owners && isEventOf(streamIdOf(this.#streams.sessionId, STANDALONE), eventId);
    return isOwn ? 'expired' : 'invalid-cursor';
  }

  async #isHeldElsewhere({ id, connection }: Stream, waits: WaitBudget): Promise<boolean> {
    const isStandalone = id === streamIdOf(this.#streams.sessionId, STANDALONE);
    return isStandalone && !connection && ((await this.#owners?.standaloneIsHeld(waits)) ?? false);
  }

  /** The client is back on the pod that runs its request; where it was meanwhile, its connection can go. */
  async #comeBack(stream: RequestStream, waits: WaitBudget): Promise<void> {
    // The resume itself proves that the client has a cursor.
    stream.resumable = true;
    if (!stream.moved) return;
    stream.moved = false;
    await this.#owners?.streamEnded(stream.id, waits);
  }

  /**
   * The stream's events come from another pod, or will come from no pod any more.
   * @returns whether the client has had them all: some come back after an error, which ended the stream for the server
   */
  async #followOwner(
    stream: Stream,
    follower: Follower,
    owners: OtherPods,
    lastEventId: string,
    waits: WaitBudget
  ): Promise<boolean> {
    const { owner } = parseStreamId(stream.id);
    // The GET stream of an event store that cannot be followed has its events from who sends them.
    if (owner !== undefined || this.#log.tellsLatest) follower.follow(stream);
    await owners.announce(stream.id, waits);
    await follower.read();
    if (owner === undefined) return false;

    if (!follower.complete) {
      const state = owner === owners.instance ? 'done' : await owners.ask(stream.id, waits);
      // What was logged while the owner was asked; from its answer on, this pod is told.
      await follower.read();
      if (state === 'open' || state === 'unasked') {
        // While the bus is away nobody can be asked: the owner is asked again when it is back.
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

  /** Asks after the owner as long as the client waits here. */
  #watch(stream: Stream, follower: Follower, owners: OtherPods): void {
    const { connection } = follower;
    const look = async (): Promise<void> => {
      const state = await owners.ask(stream.id);
      if (connection.ended) return;
      // Events may have been logged and never told of.
      await follower.read();
      if (state === 'open' || state === 'unasked') return;
      if (state === 'gone') await this.#answerForTheDead(stream, follower);
      connection.close();
    };
    connection.every(this.#leaseMs, () => void look().catch(this.#report));
  }

  /** A client must not wait for a pod that is gone: what it asked is answered with an error, and logged as answered. */
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
   * The id of the session's stream that the store keeps under this name. A store may rename streams: then the name is
   * the session's only if the store gives it to an event that this pod has stored for the session.
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

/** @throws what is no word about the event itself */
function ifNotKept(error: unknown): undefined {
  if (!(error instanceof EventCursorError)) throw error;
}
