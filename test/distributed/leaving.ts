import type { Message } from '../support/clients/rawClient.js';
import { GO } from './application.js';
import type { Client } from './client.js';
import { LogicalStream } from './logicalStream.js';
import type { Action, Leaving } from './script.js';
import { exchangeSeen, streamSeen } from './transcript.js';
import type { Exchange } from './wire.js';

type ActionOf<Kind extends Action['do']> = Extract<Action, { do: Kind }>;

/** A call's stream is left and resumed, on whichever pods, and the client gets all of it, once and in order. */
export async function leaveAndResume(
  client: Client,
  action: ActionOf<'leave and resume'>,
  label: string
): Promise<unknown> {
  const { before, after, hops, asks } = action;
  // Without an event store, or without a stream, there is nothing to resume.
  if (!client.options.log || client.options.json) return 'cannot';
  const poll = action.leaving === 'server closes' && client.polls;
  const message = client.call('steps', { label, before, after, asks, poll });
  const first = await client.post(0, message);
  if (first.status !== 200) {
    await first.untilEnded();
    return exchangeSeen(client, first);
  }
  const stream = new LogicalStream(first);
  await stream.until('it has stepped', messages => messages.length >= before);
  const leaving = action.leaving === 'server closes' ? 'drop' : action.leaving;
  if (poll) await first.untilEnded();
  else leave(client, stream, leaving);

  const go = (): Promise<number> => client.notify(1, client.notification(GO, { label }));
  const goesOn = action.goesOn === 'meanwhile' && asks ? 'live' : action.goesOn;
  const gone = goesOn === 'at once' ? go() : undefined;
  if (goesOn === 'meanwhile') {
    await go();
    await client.ask(0, client.call('finished', { label }));
  }
  for (let hop = 1; hop <= hops; hop++) {
    if (hop > 1) leave(client, stream, leaving);
    await resume(client, stream, hop + 1);
  }
  if (goesOn === 'live') await go();
  await stream.untilAnswered(message.id);
  const live = goesOn === 'live';
  if (live || client.shows('ends when answered')) await stream.part.untilEnded();
  else stream.part.drop();
  return { gone: await gone, ...(streamSeen(client, stream) as object) };
}

/** A call learns that its client no longer wants its answer, whoever is told of it. */
export async function cancel(client: Client, action: ActionOf<'cancel'>, label: string): Promise<unknown> {
  if (client.options.json || !client.alive) return 'cannot';
  const calls = Array.from({ length: action.calls }, (_, index) => `${label}.${index}`);
  const messages = calls.map(call => client.call('hang', { label: call }));
  const streams = await Promise.all(
    messages.map(async (message, turn) => {
      const stream = new LogicalStream(await client.post(turn, message));
      await stream.until('it hangs', received => received.length > 0);
      return stream;
    })
  );
  if (action.moved && client.options.log) {
    const [first] = streams as [LogicalStream];
    leave(client, first, 'drop');
    await resume(client, first, action.calls);
  }
  const seen: unknown[] = [];
  for (const [index, call] of calls.entries()) {
    const params = { requestId: (messages[index] as Message).id, reason: `of ${call}` };
    const status = await client.notify(index + action.calls, client.notification('notifications/cancelled', params));
    // Asked where the call runs.
    const aborted = await client.ask(index, client.call('aborted', { label: call }));
    seen.push({ status, aborted, stream: streamSeen(client, streams[index] as LogicalStream) });
  }
  for (const stream of streams) stream.part.drop();
  return seen;
}

function leave(client: Client, stream: LogicalStream, how: Leaving): void {
  if (how === 'half-open' && client.shows('takeover')) stream.part.leave();
  else stream.part.drop();
}

async function resume(client: Client, stream: LogicalStream, turn: number): Promise<void> {
  const old = stream.part;
  const exchange: Exchange = await client.get(turn, { cursor: stream.cursor, insists: true });
  stream.attach(exchange);
  const isOver = exchange.status === 204 && client.shows('ends when answered');
  if (!isOver && exchange.status !== 200) throw new Error(`A stream was resumed with ${exchange.status}`);
  await old.untilEnded();
}
