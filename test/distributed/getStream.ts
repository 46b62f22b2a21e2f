import type { Message } from '../support/clients/rawClient.js';
import { callMessages } from './calls.js';
import type { Client } from './client.js';
import type { Action, Leaving } from './script.js';
import { exchangeSeen, headSeen } from './transcript.js';
import type { Exchange } from './wire.js';

type ActionOf<Kind extends Action['do']> = Extract<Action, { do: Kind }>;

/** Opens a fresh stream. A second one is refused, or takes over. */
export async function openGet(client: Client): Promise<unknown> {
  const { standalone } = client;
  const second = standalone.attached;
  if (second && !client.options.reject) leave(client, 'half-open');
  const exchange = await client.get(0, { insists: standalone.hasLeft });
  if (exchange.status === 200) {
    standalone.open(exchange, client.podOf(0));
    await standalone.untilLeftEnded();
  } else {
    await exchange.untilEnded();
  }
  return opened(client, exchange);
}

export async function leaveGet(client: Client, leaving: Leaving): Promise<unknown> {
  const was = client.standalone.attached;
  leave(client, leaving);
  return was ? 'left' : 'was not there';
}

/** Goes on where the stream was left; what was said meanwhile comes first. */
export async function resumeGet(client: Client, turn = 0): Promise<unknown> {
  const { standalone } = client;
  const { cursor } = standalone;
  if (cursor === undefined) return openGet(client);
  leave(client, 'drop');
  const exchange = await client.get(turn, { cursor, insists: standalone.hasLeft });
  if (exchange.status === 200) {
    standalone.resume(exchange, client.podOf(turn));
    await standalone.untilLeftEnded();
    await standalone.settle();
  } else {
    await exchange.untilEnded();
  }
  return opened(client, exchange);
}

export async function serverClosesGet(client: Client): Promise<unknown> {
  const { standalone } = client;
  const answer = await client.ask(0, client.call('closeGet', {}));
  const [content] = (answer?.result?.content ?? []) as { text: string }[];
  if (content?.text === 'closed') {
    await standalone.untilEnded();
    await standalone.untilLeftEnded();
  }
  return answer;
}

/** No event is lost and none comes twice, though several pods talk while the client moves. */
export async function leaveAmidTalk(
  client: Client,
  action: ActionOf<'leave GET amid talk'>,
  label: string
): Promise<unknown> {
  const { standalone } = client;
  if (!standalone.attached) await openGet(client);
  if (!standalone.attached || !client.alive) return 'cannot';
  // A first event gives the client a cursor.
  await talk(client, 1, 1, `${label}.first `);
  const before = standalone.current?.messages.length ?? 0;
  const talking = talk(client, action.calls, action.each, label);
  if (client.options.log) {
    await standalone.current?.until('talk begins', messages => messages.length > before);
    leave(client, action.leaving);
    await resumeGet(client, action.calls);
  }
  const answers = await talking;
  await standalone.settle();
  return answers;
}

async function talk(client: Client, calls: number, count: number, label: string): Promise<(Message | undefined)[]> {
  const made = callMessages(client, Array<{ kind: 'talk'; count: number }>(calls).fill({ kind: 'talk', count }), label);
  for (const each of made) client.standalone.expect(each.label);
  return Promise.all(made.map(({ message }, turn) => client.ask(turn, message)));
}

/** A connection that stays is the same as one that is closed, where it would keep the client out. */
function leave(client: Client, leaving: Leaving): void {
  client.standalone.leave(client.shows('takeover') ? leaving : 'drop');
}

/** A stream that was opened is told of at its end. */
function opened(client: Client, exchange: Exchange): unknown {
  return exchange.status === 200 ? headSeen(client, exchange) : exchangeSeen(client, exchange);
}
