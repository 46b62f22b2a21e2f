import { callMessages } from './calls.js';
import { Client } from './client.js';
import type { Endpoint } from './endpoints.js';
import { cancel, leaveAndResume } from './leaving.js';
import { leaveAmidTalk, leaveGet, openGet, resumeGet, serverClosesGet } from './getStream.js';
import type { Action, ClientSpec, Notice, Script, SessionScript } from './script.js';
import { batchSeen, exchangeSeen, standaloneSeen, type Transcript } from './transcript.js';
import type { Exchange } from './wire.js';
import { wrongExchange } from './wrongExchanges.js';

/** Plays a script to an endpoint. @returns what the client of each session saw */
export function play(script: Script, endpoint: Endpoint): Promise<Transcript[]> {
  return Promise.all(script.sessions.map(session => playSession(script, session, endpoint)));
}

async function playSession(script: Script, session: SessionScript, endpoint: Endpoint): Promise<Transcript> {
  const seen: unknown[] = [];
  let client = await begin(session.client, [0, 1]);
  for (const [index, action] of session.actions.entries()) {
    client.route = action.route;
    const label = `a${index}`;
    try {
      if (action.do === 'initialize') {
        await end(client, label);
        client = await begin(action.client, action.route);
      } else {
        seen.push({ [`${label} ${action.do}`]: await act(client, action, label) });
      }
      await client.answered();
    } catch (error) {
      throw new Error(`${label} ${JSON.stringify(action)}: ${(error as Error).message}`, { cause: error });
    }
  }
  await end(client, `a${session.actions.length}`);
  return seen;

  async function begin(spec: ClientSpec, route: readonly number[]): Promise<Client> {
    const next = new Client(endpoint, script, spec);
    next.route = route;
    seen.push({ initialize: exchangeSeen(next, await next.initialize()) });
    return next;
  }

  /** What is still to come on the GET stream comes before a last mark. */
  async function end(last: Client, label: string): Promise<void> {
    if (last.alive && last.standalone.attached) await request(last, [{ kind: 'talk', count: 1 }], label, false);
    const streams = last.standalone.streams.map(stream => standaloneSeen(last, stream));
    if (last.alive) await act(last, { do: 'delete', inFlight: 0, route: last.route }, label);
    seen.push({ streams, answers: Object.entries(last.answers).sort(([a], [b]) => (a < b ? -1 : 1)) });
  }
}

type Played = Exclude<Action, { do: 'initialize' }>;

async function act(client: Client, action: Played, label: string): Promise<unknown> {
  switch (action.do) {
    case 'request':
      return request(client, action.requests, label, action.batch);
    case 'leave and resume':
      return leaveAndResume(client, action, label);
    case 'cancel':
      return cancel(client, action, label);
    case 'open GET':
      return openGet(client);
    case 'leave GET':
      return leaveGet(client, action.leaving);
    case 'resume GET':
      return resumeGet(client);
    case 'server closes GET':
      return serverClosesGet(client);
    case 'leave GET amid talk':
      return leaveAmidTalk(client, action, label);
    case 'notify':
      return notify(client, action.what);
    case 'wrong exchange':
      return client.alive ? exchangeSeen(client, await wrongExchange(client, action.what)) : 'nothing';
    case 'delete':
      return remove(client, action.inFlight, label);
    case 'forget':
      await client.forget(action.pod);
      return 'forgotten';
  }
}

async function request(
  client: Client,
  calls: Parameters<typeof callMessages>[1],
  label: string,
  batch: boolean
): Promise<unknown> {
  const made = callMessages(client, calls, label);
  const messages = made.map(each => each.message);
  let exchanges: Exchange[];
  if (batch) exchanges = [await client.post(0, messages)];
  else exchanges = await Promise.all(messages.map((message, turn) => client.post(turn, message)));
  await Promise.all(exchanges.map(exchange => exchange.untilEnded()));

  const answers = exchanges.flatMap(exchange => exchange.messages);
  for (const { message, marks, label: source } of made) {
    const answer = answers.find(({ id, method }) => id === message.id && method === undefined);
    if (marks && answer?.result && answer.result.isError !== true) client.standalone.expect(source);
  }
  await client.standalone.settle();
  const labels = new Map(made.map(each => [each.message.id, each.label]));
  return exchanges.map(exchange => (batch ? batchSeen(client, exchange, labels) : exchangeSeen(client, exchange)));
}

async function notify(client: Client, what: Notice): Promise<unknown> {
  const post = async (message: Record<string, unknown>): Promise<unknown> => {
    const exchange = await client.post(0, { jsonrpc: '2.0', ...message });
    await exchange.untilEnded();
    return exchangeSeen(client, exchange);
  };
  const method = (name: string, params: Record<string, unknown>): Promise<unknown> =>
    post({ method: `notifications/${name}`, params });
  switch (what) {
    case 'roots changed': {
      const seen = await method('roots/list_changed', {});
      if (client.alive) client.notified++;
      return seen;
    }
    case 'unknown notification':
      return method('nobody/knows', { of: 'this' });
    case 'cancel nothing':
      return method('cancelled', { requestId: 'nothing', reason: 'none' });
    case 'progress of nothing':
      return method('progress', { progressToken: 'ffffffffffff:0', progress: 1 });
    case 'answer nothing':
      return post({ id: 'ffffffffffff:0', result: {} });
    case 'fail nothing':
      return post({ id: 0, error: { code: 1, message: 'nothing' } });
  }
}

async function remove(client: Client, inFlight: number, label: string): Promise<unknown> {
  const { alive, standalone } = client;
  const hanging: Exchange[] = [];
  for (let i = 0; alive && !client.options.json && i < inFlight; i++) {
    const exchange = await client.post(i + 1, client.call('hang', { label: `${label}.${i}` }));
    await exchange.until('it hangs', () => exchange.messages.length > 0);
    hanging.push(exchange);
  }
  const exchange = await client.send('DELETE', 0, {});
  await exchange.untilEnded();
  client.alive = false;
  await Promise.all(hanging.map(each => each.untilEnded()));
  await standalone.untilEnded();
  await standalone.untilLeftEnded();
  return [exchange, ...hanging].map(each => exchangeSeen(client, each));
}
