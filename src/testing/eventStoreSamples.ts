import { randomUUID } from 'node:crypto';
import type { JSONRPCMessage } from '../sdkTypes.js';
import type { FollowableEventStore } from '../ports/eventStore.js';
import { equal } from './assert.js';
import type { Cases } from './contract.js';
import type { TwoEventStores } from './storePair.js';

/** Cases of two instances of an event store over one backend. */
export type EventCases = Cases<Required<Pick<TwoEventStores, 'first' | 'second' | 'elapse'>>>;

/** An event without a message: a cursor to resume from. */
export const PRIMING = {} as JSONRPCMessage;

/** A notification for tests. */
export type Note = JSONRPCMessage & { params: Record<string, unknown> };

/** A notification with a value. */
export function note(value: unknown): Note {
  return { jsonrpc: '2.0', method: 'notifications/test', params: { value } };
}

/** A stream id in the transport's form. */
export function streamIdOf(): string {
  return `${randomUUID()}:standalone`;
}

/** Stores messages one after the other. @returns their ids */
export async function storeAll(
  store: FollowableEventStore,
  streamId: string,
  messages: readonly JSONRPCMessage[]
): Promise<string[]> {
  const ids = [];
  for (const message of messages) ids.push(await store.storeEvent(streamId, message));
  return ids;
}

/** What a replay sends, and the stream that it returns. */
export async function replay(
  store: FollowableEventStore,
  lastEventId: string
): Promise<{ events: [string, Note][]; returned: string }> {
  const events: [string, Note][] = [];
  const send = async (eventId: string, message: JSONRPCMessage) => void events.push([eventId, message as Note]);
  return { returned: await store.replayEventsAfter(lastEventId, { send }), events };
}

/** The store must report it by an error or by an empty stream id, and never replay a part of the events. */
export async function expectUnknown(store: FollowableEventStore, lastEventId: string): Promise<void> {
  const sent: string[] = [];
  const send = async (eventId: string) => void sent.push(eventId);
  const returned = await store.replayEventsAfter(lastEventId, { send }).catch(() => '');
  equal({ returned, sent }, { returned: '', sent: [] }, `a replay after ${JSON.stringify(lastEventId.slice(0, 80))}`);
}
