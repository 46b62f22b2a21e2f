import fc from 'fast-check';
import { EventCursorError, type FollowableEventStore } from 'mcp-sdk-anypod';
import type { JSONRPCMessage } from 'mcp-sdk-anypod/types.js';
import { seed } from './seed.js';

/** What an event store may do otherwise than the others. */
export interface LogPeculiarities {
  /** It gives the events of a stream that was deleted, and is written again, ids that it has given before. */
  readonly repeatsIdsAfterDelete?: boolean;
  /** `latestEventId` does not see the event of `storeOnlyEvent`: nobody follows such a stream. */
  readonly hidesOnlyEvent?: boolean;
  /** `deleteStreams` removes the streams of the session that are not complete, too. */
  readonly deletesOpenStreams?: boolean;
  /** A complete stream may outlive a `deleteStreams` on another pod, until it expires. */
  readonly deletesLate?: boolean;
}

/** Two event stores on one backend, as two pods have them. */
export interface LogSystem {
  readonly logs: readonly [FollowableEventStore, FollowableEventStore];
  readonly peculiarities: LogPeculiarities;
  /** The session id of the sequence, without a colon. */
  readonly sessionId: string;
  settle?<T>(call: Promise<T>): Promise<T>;
}

interface LoggedEvent {
  readonly id: string;
  readonly message: JSONRPCMessage;
}

interface StreamModel {
  events: LoggedEvent[];
  complete: boolean;
  /** Its only event was stored by `storeOnlyEvent`. */
  only: boolean;
  /** It was complete once. Another event opened it again: such a stream may be removed with the complete ones. */
  reopened: boolean;
  /** It has an event that was stored by `storeOnlyEvent`. */
  hasOnly: boolean;
  /** Whether nobody can say what the store has. */
  uncertain: boolean;
}

class LogModel {
  readonly streams = new Map<string, StreamModel>();
  /** Ids of events that were deleted. */
  readonly gone = new Map<string, string[]>();
  readonly given = new Set<string>();
  written = 0;

  stream(name: string): StreamModel {
    const stream = this.streams.get(name) ?? {
      events: [],
      complete: false,
      only: false,
      hasOnly: false,
      reopened: false,
      uncertain: false
    };
    this.streams.set(name, stream);
    return stream;
  }
}

type Step = { readonly side: 0 | 1; readonly name: string } & (
  | { readonly kind: 'event' | 'last' | 'only' | 'onlyAgain' | 'latest' | 'both' | 'replayAll' | 'gone' }
  | { readonly kind: 'replay' | 'streamOf'; readonly from: number }
  | { readonly kind: 'delete' }
);

class LogCommand implements fc.AsyncCommand<LogModel, LogSystem> {
  readonly #step: Step;

  constructor(step: Step) {
    this.#step = step;
  }

  check(model: Readonly<LogModel>): boolean {
    const { kind, name } = this.#step;
    const stream = model.streams.get(name);
    if (kind === 'delete') return true;
    if (stream?.uncertain) return false;
    if (kind === 'gone') return (model.gone.get(name)?.length ?? 0) > 0;
    if (kind === 'onlyAgain') return stream?.only === true;
    // An answer is the only event of a stream, or there are others before it.
    if (kind === 'only') return (stream?.events.length ?? 0) === 0;
    return true;
  }

  toString(): string {
    return JSON.stringify(this.#step);
  }

  async run(model: LogModel, system: LogSystem): Promise<void> {
    const step = this.#step;
    const { side, name } = step;
    const streamId = `${system.sessionId}:${name}`;
    const log = system.logs[side] as Required<FollowableEventStore>;
    const other = system.logs[1 - side] as Required<FollowableEventStore>;
    const settle = <T>(call: Promise<T>): Promise<T> => system.settle?.(call) ?? call;
    const { peculiarities } = system;
    const stream = model.stream(name);
    const added = (id: string, message: JSONRPCMessage): void => {
      if (!peculiarities.repeatsIdsAfterDelete) expect(model.given).not.toContain(id);
      model.given.add(id);
      stream.events.push({ id, message });
    };
    const replay = (from: FollowableEventStore, cursor: string) => settle(replayed(from, cursor));
    switch (step.kind) {
      case 'event': {
        const message = note(model.written++);
        // Nothing follows a complete stream, except after a pod was taken for dead.
        added(await settle(log.storeEvent(streamId, message)), message);
        stream.reopened ||= stream.complete;
        stream.complete = stream.only = false;
        return;
      }
      case 'both': {
        const cursor = stream.events.at(-1)?.id ?? (await firstId(settle, log, streamId, model, stream));
        const [first, second] = [note(model.written++), note(model.written++)];
        const ids = await settle(Promise.all([log.storeEvent(streamId, first), other.storeEvent(streamId, second)]));
        stream.reopened ||= stream.complete;
        stream.complete = stream.only = false;
        // Which was first, the log decides; both sides must see the same.
        const { events } = await replay(log, cursor);
        expect((await replay(other, cursor)).events).toEqual(events);
        expect(events.map(({ id }) => id).sort()).toEqual([...ids].sort());
        for (const { id, message } of events) {
          expect(message).toEqual(id === ids[0] ? first : second);
          added(id, message);
        }
        return;
      }
      case 'last': {
        const message = note(model.written++);
        added(await settle(log.storeLastEvent(streamId, message)), message);
        stream.complete = true;
        stream.only = false;
        return;
      }
      case 'only': {
        if (!log.storeOnlyEvent) return;
        const message = note(model.written++);
        const id = await settle(log.storeOnlyEvent(streamId, message));
        stream.events.push({ id, message });
        stream.complete = stream.only = stream.hasOnly = true;
        return;
      }
      case 'onlyAgain': {
        const [{ id, message }] = stream.events as [LoggedEvent];
        return expect(await settle(log.storeOnlyEvent(streamId, message))).toBe(id);
      }
      case 'latest': {
        const last = stream.events.at(-1);
        const isSeen = !(stream.only && peculiarities.hidesOnlyEvent);
        return expect(await settle(log.latestEventId(streamId))).toBe((isSeen && last?.id) || null);
      }
      case 'replayAll': {
        if (!log.startEventId) return;
        const start = log.startEventId(streamId);
        expect(other.startEventId(streamId)).toBe(start);
        expect(await settle(log.getStreamIdForEventId(start))).toBe(streamId);
        return expect(await replay(log, start)).toEqual({ streamId, events: stream.events });
      }
      case 'replay': {
        const event = stream.events[step.from % (stream.events.length || 1)];
        if (!event) return;
        const events = stream.events.slice(stream.events.indexOf(event) + 1);
        return expect(await replay(log, event.id)).toEqual({ streamId, events });
      }
      case 'streamOf': {
        const event = stream.events[step.from % (stream.events.length || 1)];
        return event && expect(await settle(log.getStreamIdForEventId(event.id))).toBe(streamId);
      }
      case 'gone': {
        for (const id of model.gone.get(name) ?? []) {
          if (stream.events.some(event => event.id === id)) continue;
          await expect(replay(log, id)).rejects.toThrow(EventCursorError);
          expect(await settle(log.getStreamIdForEventId(id))).toBeUndefined();
        }
        return;
      }
      case 'delete': {
        await settle(log.deleteStreams(system.sessionId, [streamId]));
        for (const [each, found] of model.streams) {
          const isNamed = each === name;
          if (found.uncertain) continue;
          if (!isNamed && !found.complete && !peculiarities.deletesOpenStreams) {
            found.uncertain = found.reopened;
            continue;
          }
          if ((!isNamed || found.hasOnly) && peculiarities.deletesLate && found.events.length > 0) {
            found.uncertain = true;
            continue;
          }
          const ids = found.events.map(({ id }) => id);
          model.gone.set(each, [...(model.gone.get(each) ?? []), ...ids]);
          Object.assign(found, { events: [], complete: false, only: false, hasOnly: false, reopened: false });
        }
      }
    }
  }
}

/** A cursor before the next event of an empty stream. */
async function firstId(
  settle: <T>(call: Promise<T>) => Promise<T>,
  log: FollowableEventStore,
  streamId: string,
  model: LogModel,
  stream: StreamModel
): Promise<string> {
  if (log.startEventId) return log.startEventId(streamId);
  const message = note(model.written++);
  const id = await settle(log.storeEvent(streamId, message));
  stream.events.push({ id, message });
  return id;
}

async function replayed(
  log: FollowableEventStore,
  cursor: string
): Promise<{ streamId: string; events: LoggedEvent[] }> {
  const events: LoggedEvent[] = [];
  const streamId = await log.replayEventsAfter(cursor, {
    send: async (id, message) => void events.push({ id, message })
  });
  return { streamId, events };
}

function note(n: number): JSONRPCMessage {
  return { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: n } };
}

const side = fc.constantFrom<0 | 1>(0, 1);
const name = fc.constantFrom('x', 'y');
const kinds = ['event', 'last', 'only', 'onlyAgain', 'latest', 'both', 'replayAll', 'gone', 'delete'] as const;
const steps: fc.Arbitrary<Step>[] = [
  fc.record({ side, name, kind: fc.constantFrom(...kinds) }),
  fc.record({ side, name, kind: fc.constantFrom('event', 'both', 'replayAll') }),
  fc.record({ side, name, kind: fc.constantFrom('replay', 'streamOf'), from: fc.nat(9) })
];

/** Plays generated sequences on two event stores of one backend. @param runs - how many */
export async function holdsLogModel(make: () => LogSystem | Promise<LogSystem>, runs: number): Promise<void> {
  const sequences = fc.commands(
    steps.map(step => step.map(each => new LogCommand(each))),
    { maxCommands: 40, size: 'max' }
  );
  const property = fc.asyncProperty(sequences, async commands => {
    const real = await make();
    await fc.asyncModelRun(() => ({ model: new LogModel(), real }), commands);
  });
  await fc.assert(property, { seed, numRuns: runs });
}
