import type { AccountingClient, Call } from '../support/clients/accountingClient.js';

/** What became of everything that the clients of a run have sent. */
export interface Tally {
  sent: number;
  answered: number;
  /** Answered with an error, because the pod that ran the call is gone. */
  answeredGone: number;
  /** The POST failed, or its connection broke before the client had a cursor. */
  errored: number;
  /** Never answered, though the client had a cursor or its connection held. */
  lost: number;
  /** Answers to what had been answered, and questions and notifications that came twice. */
  duplicated: number;
  /** Whatever came to another session than its own. */
  foreign: number;
  questions: number;
  /** Notifications that an answered call has sent, and that were heard. */
  heard: number;
  /** Those that were not. */
  unheard: number;
  /** Why calls were errored. */
  errors: Record<string, number>;
}

export function tally(clients: readonly AccountingClient[]): Tally {
  const calls = clients.flatMap(client => client.calls);
  const of = (outcome: Call['outcome']) => calls.filter(call => call.outcome === outcome);
  const pending = of('pending');
  const cut = pending.filter(hasFailed);
  const told = clients.flatMap(client =>
    client.calls.flatMap(call => tokensTold(call).map(token => ({ client, token })))
  );
  const heard = told.filter(({ client, token }) => client.heard.has(token));
  const errors: Record<string, number> = {};
  for (const call of [...of('refused'), ...cut]) {
    const why = call.error === undefined ? 'cut before a cursor' : reasonOf(call.error);
    errors[why] = (errors[why] ?? 0) + 1;
  }
  return {
    sent: calls.length,
    answered: of('answered').length,
    answeredGone: of('gone').length,
    errored: of('refused').length + cut.length,
    lost: pending.length - cut.length,
    duplicated: sum(clients, ({ doubled, secondAnswers }) => doubled.length + secondAnswers.length),
    foreign: sum(clients, ({ foreign }) => foreign.length),
    questions: sum(clients, ({ asked }) => asked.size),
    heard: heard.length,
    unheard: told.length - heard.length,
    errors
  };
}

/** Whether the client will never have an answer, and has no cursor to ask for it with. */
export function hasFailed(call: Call): boolean {
  return call.outcome === 'pending' && call.broken && !call.hasCursor;
}

/** The notifications that a call is known to have sent. */
function tokensTold({ tool, outcome, token }: Call): string[] {
  return tool === 'tell' && outcome === 'answered' ? [`${token}.0`, `${token}.1`] : [];
}

export function reasonOf(error: unknown): string {
  const { message, cause } = error as Error & { cause?: Error };
  return cause ? `${message}: ${cause.message}` : message;
}

function sum<T>(items: readonly T[], count: (item: T) => number): number {
  return items.reduce((total, item) => total + count(item), 0);
}

/** The first few of what went wrong, for whoever has to find out why. */
export function examples(clients: readonly AccountingClient[], began: number): unknown[] {
  const wrong = clients.flatMap(client => {
    const { name, doubled, secondAnswers, heard, errors } = client;
    const lost = client.calls.filter(call => call.outcome === 'pending' && !hasFailed(call));
    const unheard = client.calls.flatMap(tokensTold).filter(token => !heard.has(token));
    const problems = { lost: lost.map(call => inWords(call, began)), doubled, secondAnswers, unheard };
    return Object.values(problems).some(({ length }) => length > 0)
      ? [{ name, ...problems, errors: errors.slice(-5) }]
      : [];
  });
  return wrong.slice(0, 10);
}

function inWords({ token, tool, sentAt, hasCursor, broken }: Call, began: number): string {
  const traits = [hasCursor && 'with cursor', broken && 'cut'].filter(Boolean).join(', ');
  return `${tool} ${token} ${sentAt - began} ms (${traits})`;
}
