import type { ExchangeRecord, Transcript } from './harness.js';
import type { Script } from './script.js';
import type { Subject } from './subjects.js';

/** A difference from the stock transport that is meant to be. Its section in PATCHES.md has the same number. */
export interface AllowedDifference {
  readonly number: number;
  readonly title: string;
  /**
   * What ours is to show where the stock transport showed this. Absent where no script may show the difference
   * but the one that demonstrates it (differences.test.ts).
   */
  readonly expects?: (stock: Transcript, script: Script, subject: Subject) => Transcript;
}

export const allowedDifferences: AllowedDifference[] = [
  { number: 1, title: 'Two requests in flight may have the same id' },
  {
    number: 2,
    title: 'An exchange that waits for a JSON body gets an answer',
    expects: (stock, script, subject) => {
      if (!script.options?.enableJsonResponse) return stock;
      const exchanges = stock.exchanges.map(exchange => {
        if (exchange.handled !== undefined) return exchange;
        // One that was cancelled is answered as the cancellation is.
        const cancellation = stock.exchanges.find(({ step }) => cancels(script, step, exchange.step));
        if (cancellation) return { ...cancellation, step: exchange.step };
        const answered = exchange.ended === 'no' ? { ...notFound(subject), ended: 'end' as const } : {};
        return { ...exchange, ...answered, handled: 'resolved' };
      });
      return { ...stock, exchanges };
    }
  },
  {
    number: 3,
    title: 'Stream ids in the event store begin with the session id',
    expects: stock => {
      const scope = stock.sessionId === undefined ? '' : `${stock.sessionId}:`;
      const scoped = (id: string): string => scope + (id === '_GET_stream' ? 'standalone' : id);
      const streamIds = Object.entries(stock.streamIds).map(([name, id]) => [name, scoped(id)]);
      return { ...stock, streamIds: Object.fromEntries(streamIds) as Transcript['streamIds'] };
    }
  },
  { number: 4, title: 'A cursor of another session is refused' },
  { number: 5, title: 'If the event store fails, the client gets its answer without a cursor' },
  { number: 6, title: 'A server waits for a client that reads slowly' },
  {
    number: 7,
    title: 'In external mode the store decides whether a session exists',
    expects: (stock, script, subject) => {
      if (subject.mode !== 'external') return stock;
      const text = 'Bad Request: Server not initialized';
      const callbacks = stock.callbacks.map(entries => [...entries]);
      const exchanges = stock.exchanges.map(exchange => {
        if (!exchange.body.includes(text) || !namesSession(script, exchange.step)) return exchange;
        const entries = callbacks[exchange.step]!;
        const index = entries.findIndex(entry => (entry as { onerror?: string }).onerror === text);
        entries[index] = { onerror: 'Session not found' };
        return { ...exchange, ...notFound(subject) };
      });
      const isOver = isEnded(stock, script);
      const answered = exchanges.map(exchange => {
        const isOfClosed = exchange.status === 404 && !reports(callbacks[exchange.step]!, 'Session not found');
        return isOfClosed && !isOver ? { ...exchange, ...elsewhere(subject, exchange) } : exchange;
      });
      return { ...stock, callbacks, exchanges: answered };
    }
  },
  { number: 8, title: 'In external mode there is always a session id, of a form that clients can send' },
  { number: 9, title: 'Options are checked when they are given' },
  {
    number: 10,
    title: 'Errors from the Node request handler are reported to `onerror`; errors thrown by `onerror` are ignored',
    expects: (stock, _, subject) => {
      if (subject.adapter !== 'node') return stock;
      const callbacks = stock.callbacks.map(entries => [...entries]);
      for (const { step } of stock.exchanges.filter(wasThrownOut)) {
        callbacks[step]!.push({ onerror: expect.any(String) as string });
      }
      return { ...stock, callbacks };
    }
  },
  { number: 11, title: 'A Host that does not form a URL is refused for every method' },
  { number: 12, title: 'A response of any shape answers its request' },
  { number: 13, title: 'In external mode the ids of server-to-client requests name the pod' },
  {
    number: 14,
    title: 'In external mode a response to no open request is dropped',
    expects: (stock, _, subject) => {
      if (subject.mode !== 'external') return stock;
      const asked = askedIds(stock);
      const isStray = (entry: unknown): boolean => {
        const { onmessage: message } = (entry ?? {}) as { onmessage?: { id?: unknown; method?: unknown } };
        return message !== undefined && message.method === undefined && !asked.delete(JSON.stringify(message.id));
      };
      const callbacks = stock.callbacks.map(entries => entries.filter(entry => !isStray(entry)));
      return { ...stock, callbacks };
    }
  },
  { number: 15, title: 'In external mode a new GET stream replaces the older one' },
  {
    number: 16,
    title: 'In external mode a resumed stream begins with its cursor and ends with its last answer',
    expects: (stock, script, subject) => {
      if (subject.mode !== 'external') return stock;
      // An error that ends a stream has a cursor that nothing follows, because clients resume after an error.
      const exchanges = stock.exchanges.map(exchange => {
        const body = exchange.body.replace(
          /id: (\S+)(\r?\ndata: \{"jsonrpc":"2\.0","id":(?:"[^"]*"|[^",]+),"error":\{[^\n]*\n\n)$/,
          (event, eventId: string, rest: string) => {
            const isLast = answersIn(exchange) === requestsIn(script, exchange.step);
            return isLast ? `id: ${stock.sessionId}:over@${eventId}${rest}` : event;
          }
        );
        return { ...exchange, body };
      });
      return { ...stock, exchanges };
    }
  },
  { number: 17, title: 'A transport that closes while a stream is opened answers 404' },
  { number: 18, title: 'A message that is sent during a replay arrives' },
  { number: 19, title: 'The headers and URL of a request are read on demand' },
  { number: 20, title: 'A cancelled request is over when its client leaves' },
  {
    number: 21,
    title:
      'The web-standard transport has accessors for its session id and callbacks, and no private members of the SDK'
  },
  { number: 22, title: 'In external mode a large handshake, subscription or message between pods is refused' },
  { number: 23, title: 'A body that a middleware has read is taken from `req.body`' },
  { number: 24, title: 'A server of version 2 of the SDK is refused when it connects' },
  {
    number: 25,
    title: 'In external mode a request that the server sends just before a GET stream opens arrives'
  },
  { number: 26, title: 'In external mode a message that is stored or sent to other pods has at most 1000 levels' },
  { number: 27, title: 'In external mode a GET stream whose cursor has expired continues with new messages' },
  { number: 28, title: 'In external mode a GET stream begins with a cursor' },
  { number: 29, title: 'A message that is not JSON is refused, and its request is answered' },
  { number: 30, title: 'On Bun a stream begins with a comment, and is kept alive every 8 seconds' }
];

/** The ids, as JSON, of what the server has asked the client. */
function askedIds({ exchanges }: Transcript): Set<string> {
  const data = exchanges.flatMap(({ body }) =>
    [...body.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => json as string)
  );
  const messages = data.map(json => JSON.parse(json) as { id?: unknown; method?: unknown });
  const requests = messages.filter(({ id, method }) => id !== undefined && method !== undefined);
  return new Set(requests.map(({ id }) => JSON.stringify(id)));
}

/**
 * Ours without the reports that the stock transport does not make: of dropped responses (difference 14; in a batch they
 * come before the requests), and of exchanges of a session that is elsewhere now (difference 7).
 */
export function withoutOwnReports(ours: Transcript): Transcript {
  const own = ['Dropped a response of the client to a request that is not open', LEFT];
  const callbacks = ours.callbacks.map(entries => entries.filter(entry => !own.some(text => reports([entry], text))));
  return { ...ours, callbacks };
}

const LEFT = 'The session is closed on this pod';

function reports(entries: unknown[], text: string): boolean {
  return entries.some(entry => ((entry ?? {}) as { onerror?: string }).onerror === text);
}

/** Whether the transport was closed because its session was over: deleted, or not opened after all. */
function isEnded({ exchanges, callbacks }: Transcript, script: Script): boolean {
  const closedIn = callbacks.findIndex(entries => entries.includes('onclose'));
  const wasOpened = callbacks.flat().some(entry => typeof entry === 'object' && 'onsessioninitialized' in entry!);
  return exchanges.some(exchange => {
    const sent = script.steps[exchange.step];
    if (exchange.step > closedIn || sent?.do !== 'exchange') return false;
    if (sent.request.method === 'DELETE') return !(exchange.status! >= 400 && exchange.status! < 500);
    return wasOpened && exchange.status === 404 && !namesSession(script, exchange.step);
  });
}

/** The stock transport on Node answers an error that nobody has caught with a bare 500. */
function wasThrownOut({ status, body, handled }: ExchangeRecord): boolean {
  return (status === 500 || status === 504) && body === '' && handled === 'resolved';
}

/** Whether one step's message cancels the request of another. */
function cancels(script: Script, step: number, requestStep: number): boolean {
  const cancelled = /"method":"notifications\/cancelled","params":\{"requestId":("[^"]*"|\d+)/.exec(
    bodyOf(script, step)
  );
  return cancelled !== null && bodyOf(script, requestStep).includes(`"id":${cancelled[1]},`);
}

/** How many requests a stream has answered. */
function answersIn({ body }: ExchangeRecord): number {
  const answers = body.matchAll(/^data: \{"jsonrpc":"2\.0","id":("[^"]*"|[^",]+),"(?:result|error)"/gm);
  return new Set([...answers].map(([, id]) => id)).size;
}

/** How many requests a POST has carried, each id once. */
function requestsIn(script: Script, step: number): number {
  const sent = script.steps[step];
  const parsed = sent?.do === 'exchange' ? sent.request.parsedBody : undefined;
  const text = parsed === undefined ? bodyOf(script, step) : JSON.stringify(parsed);
  const messages = [JSON.parse(text) as unknown].flat() as { id?: unknown; method?: unknown }[];
  return new Set(messages.filter(({ method }) => method !== undefined).flatMap(({ id }) => id ?? [])).size;
}

function bodyOf(script: Script, step: number): string {
  const sent = script.steps[step];
  return sent?.do === 'exchange' ? String(sent.request.body) : '';
}

function namesSession(script: Script, step: number): boolean {
  const sent = script.steps[step];
  if (sent?.do !== 'exchange') return false;
  return sent.request.headers.some(([name, value]) => name.toLowerCase() === 'mcp-session-id' && value.trim() !== '');
}

/** What an exchange shows when the session that it names is not there. */
function notFound(subject: Subject): Pick<ExchangeRecord, 'status' | 'headers' | 'body'> {
  const body = '{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}';
  const headers: [string, string][] = [['content-type', 'application/json']];
  if (subject.adapter === 'node') headers.push(['content-length', String(body.length)], ['Connection', 'close']);
  return { status: 404, headers, body };
}

/** What an exchange shows when the session that it names is not on this pod any more; a HEAD shows no body. */
function elsewhere(subject: Subject, stock: ExchangeRecord): Pick<ExchangeRecord, 'status' | 'headers' | 'body'> {
  const body = `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Service Unavailable: ${LEFT}"},"id":null}`;
  const headers: [string, string][] = [
    ['content-type', 'application/json'],
    ['retry-after', '1']
  ];
  if (subject.adapter === 'node') {
    headers.reverse().push(['content-length', String(body.length)], ['Connection', 'close']);
  }
  return { status: 503, headers, body: stock.body && body };
}

/** The transcript that a subject must give, made of the stock transport's. */
export function expectedOf(subject: Subject, script: Script, stock: Transcript): Transcript {
  return allowedDifferences.reduce(
    (transcript, difference) => difference.expects?.(transcript, script, subject) ?? transcript,
    stock
  );
}
