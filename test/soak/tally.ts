import type { AccountingClient, Call } from '../support/clients/accountingClient.js';

/** What became of everything that the clients of a run have sent. */
export interface Tally {
  sent: number;
  answered: number;
  /** Answered with an error, because the pod that ran the call is gone. */
  answeredGone: number;
  /** The POST failed, or its connection broke before the client had a cursor. */
  errored: number;
  /** Those of them that failed while no pod was killed. */
  unexplained: number;
  /** Answered 503: Redis could not be asked. */
  unavailable: number;
  /** Never answered, though the client had a cursor or its connection held. */
  lost: number;
  /** Answers to what had been answered, and questions that came twice. */
  duplicated: number;
  /** Whatever came to another session than its own. */
  foreign: number;
  questions: number;
  /** What answered calls have sent besides their answers: log messages on either stream, and progress. */
  notifications: number;
  notificationsLost: number;
  notificationsTwice: number;
  /** Messages that a pod could not log, and has reported: these may get lost or come twice, and are counted nowhere else. */
  unlogged: number;
  /** Why calls were errored. */
  errors: Record<string, number>;
}

/** How many notifications the tools of a run are asked for. */
export const COUNTS: Readonly<Record<string, number>> = { tell: 2, beat: 2, steps: 5 };

/** A moment at which a pod was killed: when the signal was sent, and when the process had ended. */
export interface Kill {
  readonly from: number;
  readonly to: number;
}

/** Within this time after a pod has ended, its clients know that their connections have. */
const NOTICE_MS = 1000;

/** @param unlogged - the tokens of messages that their pods could not log */
export function tally(
  clients: readonly AccountingClient[],
  unlogged: ReadonlySet<string>,
  kills: readonly Kill[]
): Tally {
  const calls = clients.flatMap(client => client.calls);
  const of = (outcome: Call['outcome']) => calls.filter(call => call.outcome === outcome);
  const pending = of('pending');
  const cut = pending.filter(hasFailed);
  const unavailable = of('refused').filter(call => reasonOf(call.error).includes('Service Unavailable'));
  const errored = [...of('refused').filter(call => !unavailable.includes(call)), ...cut];
  const errors: Record<string, number> = {};
  for (const call of [...unavailable, ...errored]) {
    const why = call.error === undefined ? 'cut before a cursor' : reasonOf(call.error);
    errors[why] = (errors[why] ?? 0) + 1;
  }
  return {
    sent: calls.length,
    answered: of('answered').length,
    answeredGone: of('gone').length,
    errored: errored.length,
    unexplained: errored.filter(call => !failedByKill(call, kills)).length,
    unavailable: unavailable.length,
    lost: pending.length - cut.length,
    duplicated: sum(clients, client => doubledQuestions(client, unlogged).length + client.secondAnswers.length),
    foreign: sum(clients, ({ foreign }) => foreign.length),
    questions: sum(clients, ({ asked }) => asked.size),
    notifications: sum(clients, client => sentTo(client, unlogged).length),
    notificationsLost: sum(clients, client => lostBy(client, unlogged).length),
    notificationsTwice: sum(clients, client => heardTwiceBy(client, unlogged).length),
    unlogged: unlogged.size,
    errors
  };
}

/** A call fails if its pod is killed, whether the pod works for it, waits for Redis or is paused. */
function failedByKill({ settledAt, brokenAt = settledAt }: Call, kills: readonly Kill[]): boolean {
  return kills.some(({ from, to }) => brokenAt >= from && brokenAt <= to + NOTICE_MS);
}

/** Whether the client will never have an answer, and has no cursor to ask for it with. */
export function hasFailed(call: Call): boolean {
  return call.outcome === 'pending' && call.brokenAt !== undefined && !call.hasCursor;
}

/** The notifications that a client's answered calls have sent, and logged. */
function sentTo({ calls }: AccountingClient, unlogged: ReadonlySet<string>): string[] {
  return calls
    .flatMap(({ tool, outcome, token }) => {
      if (outcome !== 'answered' || unlogged.has(token)) return [];
      return Array.from({ length: COUNTS[tool] ?? 0 }, (_, i) => `${token}.${i}`);
    })
    .filter(token => !unlogged.has(token));
}

/** How often each was heard. Progress of 1 to n counts as the notifications 0 to n - 1 of its call. */
function heardBy({ heard, progress }: AccountingClient): Map<string, number> {
  const counts = new Map(heard);
  for (const [call, made] of progress) {
    for (const step of made) {
      const token = `${call}.${step - 1}`;
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
  }
  return counts;
}

function lostBy(client: AccountingClient, unlogged: ReadonlySet<string>): string[] {
  const heard = heardBy(client);
  return sentTo(client, unlogged).filter(token => !heard.has(token));
}

function heardTwiceBy(client: AccountingClient, unlogged: ReadonlySet<string>): string[] {
  const isLogged = (token: string) => !unlogged.has(token) && !unlogged.has(token.slice(0, token.lastIndexOf('.')));
  return [...heardBy(client)].filter(([token, count]) => count > 1 && isLogged(token)).map(([token]) => token);
}

function doubledQuestions({ asked }: AccountingClient, unlogged: ReadonlySet<string>): string[] {
  return [...asked].filter(([token, count]) => count > 1 && !unlogged.has(token)).map(([token]) => token);
}

export function reasonOf(error: unknown): string {
  const { message, cause } = error as Error & { cause?: Error };
  return cause ? `${message}: ${cause.message}` : message;
}

function sum<T>(items: readonly T[], count: (item: T) => number): number {
  return items.reduce((total, item) => total + count(item), 0);
}

/** The first few of what went wrong, for whoever has to find out why. */
export function examples(
  clients: readonly AccountingClient[],
  unlogged: ReadonlySet<string>,
  began: number
): unknown[] {
  const wrong = clients.flatMap(client => {
    const { name, secondAnswers, errors } = client;
    const problems = {
      lost: client.calls
        .filter(call => call.outcome === 'pending' && !hasFailed(call))
        .map(call => inWords(call, began)),
      secondAnswers,
      doubledQuestions: doubledQuestions(client, unlogged),
      notificationsLost: lostBy(client, unlogged).map(token => callOf(client, token, began)),
      notificationsTwice: heardTwiceBy(client, unlogged).map(token => callOf(client, token, began))
    };
    return Object.values(problems).some(({ length }) => length > 0)
      ? [{ name, ...problems, errors: errors.slice(-5) }]
      : [];
  });
  return wrong.slice(0, 10);
}

function callOf({ calls }: AccountingClient, notification: string, began: number): string {
  const call = calls.find(({ token }) => notification.startsWith(`${token}.`));
  return `${notification} of ${call ? inWords(call, began) : 'no call'}`;
}

function inWords({ token, tool, sentAt, hasCursor, brokenAt }: Call, began: number): string {
  const traits = [hasCursor && 'with cursor', brokenAt !== undefined && 'cut'].filter(Boolean).join(', ');
  return `${tool} ${token} ${sentAt - began} ms (${traits})`;
}
