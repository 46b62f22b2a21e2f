import { sameAsStock } from './compare.js';
import { del, get, handshake, initialize, notification, post, request, result, run, type Act } from './script.js';
import type { Step } from './script.js';

const open = (id: number | string, ...acts: Act[]): Step => post(run(id, ...acts), { as: String(id), until: 'open' });
const tell = (relatedRequestId?: number | string): Step => ({ do: 'send', message: notification(), relatedRequestId });
const answer = (id: number | string): Step => ({ do: 'send', message: result(id, { from: 'script' }) });

describe('a request stream', () => {
  sameAsStock('carries notifications and requests about its request, then the response', {
    statuses: [200, 202, 200, 202],
    steps: [...handshake(), open(1, 'notify', 'ask', 'take a turn', 'notify', 'answer'), post(result('ask-1'))]
  });
  sameAsStock('stays open until its last response', {
    adapter: 'node',
    statuses: [200, 200],
    shows: stock => expect(stock.looks).toEqual(['batch: pending', 'batch: pending', 'batch: resolved']),
    steps: [
      initialize(),
      post([run(1), run(2)], { as: 'batch', until: 'open' }),
      { do: 'look', exchange: 'batch' },
      answer(2),
      { do: 'read', exchange: 'batch', events: 1 },
      { do: 'look', exchange: 'batch' },
      tell(2),
      { do: 'read', exchange: 'batch', events: 2 },
      answer(1),
      { do: 'finish', exchange: 'batch' },
      { do: 'look', exchange: 'batch' }
    ]
  });
  sameAsStock('accepts two answers to a request of an open batch', {
    statuses: [200, 200],
    steps: [
      initialize(),
      post([run(1), run(2)], { as: 'batch', until: 'open' }),
      answer(1),
      answer(1),
      answer(2),
      { do: 'finish', exchange: 'batch' }
    ]
  });
  for (const eventStore of [undefined, 'full', 'minimal'] as const) {
    const refused = 'No connection established for request ID: 1';
    for (const [sdk, outcome] of [
      [1, refused],
      // Version 2 has stored the second answer, so it does not throw.
      [2, eventStore ? 'sent' : refused]
    ] as const) {
      sameAsStock(
        `accepts one of two answers that are given at the same time (event store: ${eventStore}, SDK ${sdk})`,
        {
          sdk,
          options: { eventStore },
          statuses: [200, 200, 200],
          shows: stock => {
            expect(stock.sends['responder: 1']!.map(each => each.outcome)).toEqual(['sent', outcome]);
          },
          steps: [
            initialize(),
            post(run(1, 'answer', 'answer'), { version: '2025-11-25' }),
            post([run(2, 'answer', 'fail'), run(3, 'take a turn', 'answer')])
          ]
        }
      );
    }
    sameAsStock(`accepts any number of answers after it is closed (event store: ${eventStore})`, {
      options: { eventStore },
      statuses: [200, 200],
      steps: [
        initialize(),
        post(run(1, 'close', 'answer', 'answer', 'take a turn', 'answer'), { version: '2025-11-25' })
      ]
    });
  }
  sameAsStock('is kept apart from another', {
    statuses: [200, 200, 200],
    steps: [
      initialize(),
      open(1, 'notify'),
      open(2, 'notify'),
      tell(1),
      answer(2),
      tell(1),
      { do: 'finish', exchange: '2' },
      answer(1),
      { do: 'finish', exchange: '1' }
    ]
  });
  sameAsStock('that does not exist is named in the error', {
    statuses: [200, 200],
    shows: stock => expect(stock.sends['script: 7']![0]!.outcome).toContain('No connection established'),
    steps: [initialize(), answer(7), tell(7), tell('1'), open(1, 'answer'), answer(1), tell(1)]
  });
  sameAsStock('does not exist for a response without an id', {
    statuses: [200],
    shows: stock => expect(stock.sends['script: undefined']![0]!.outcome).toContain('Cannot send a response'),
    steps: [
      initialize(),
      { do: 'send', message: { jsonrpc: '2.0', error: { code: 1, message: 'a' } } as never },
      { do: 'send', message: { jsonrpc: '2.0', error: { code: 1, message: 'a' } } as never, relatedRequestId: 1 }
    ]
  });
  sameAsStock('is cut by a client that leaves, and a late response is an error', {
    statuses: [200, 200],
    steps: [initialize(), open(1, 'notify'), { do: 'abort', exchange: '1' }, tell(1), answer(1), answer(1)]
  });
  sameAsStock('is cut while a batch is half answered', {
    statuses: [200, 200],
    steps: [
      initialize(),
      post([run(1, 'answer'), run(2)], { as: 'batch', until: 'open' }),
      { do: 'abort', exchange: 'batch' },
      answer(2)
    ]
  });
  sameAsStock('is closed by the server without an event store, and a late response is an error', {
    statuses: [200, 200],
    steps: [
      initialize(),
      open(1, 'notify'),
      { do: 'closeStream', requestId: 1 },
      { do: 'finish', exchange: '1' },
      { do: 'closeStream', requestId: 1 },
      { do: 'closeStream', requestId: 99 },
      tell(1),
      answer(1)
    ]
  });
  sameAsStock('may carry large and unusual messages', {
    statuses: [200, 200],
    steps: [
      initialize(),
      open(1),
      { do: 'send', message: notification('a', { text: 'x'.repeat(200_000) }), relatedRequestId: 1 },
      { do: 'send', message: notification('a', { text: 'a\nb\r\n\u2028é😀\u0000' }), relatedRequestId: 1 },
      { do: 'send', message: notification('a', { gone: undefined, big: 1e21, not: NaN }), relatedRequestId: 1 },
      answer(1)
    ]
  });
});

describe('the standalone stream', () => {
  sameAsStock('carries messages without a related request', {
    statuses: [200, 200, 200],
    steps: [
      initialize(),
      get(),
      post(run(1, 'broadcast', 'notify', 'answer')),
      tell(),
      { do: 'send', message: request('srv', 'ping') },
      { do: 'read', exchange: 'get', events: 3 },
      { do: 'look', exchange: 'get' }
    ]
  });
  sameAsStock('is one', {
    statuses: [200, 200, 409, 409],
    steps: [initialize(), get(), get({ as: 'second' }), get({ as: 'third' }, 'any-event')]
  });
  sameAsStock('is free again after the client has left', {
    statuses: [200, 200, 200, 409],
    steps: [
      initialize(),
      get(),
      { do: 'abort', exchange: 'get' },
      tell(),
      get({ as: 'second' }),
      tell(),
      get({ as: 'third' })
    ]
  });
  sameAsStock('is free again after the server has closed it', {
    statuses: [200, 200, 200],
    steps: [
      initialize(),
      { do: 'closeStandaloneStream' },
      get(),
      tell(),
      { do: 'closeStandaloneStream' },
      { do: 'finish', exchange: 'get' },
      tell(),
      get({ as: 'second' }),
      tell()
    ]
  });
  sameAsStock('that does not exist loses what is sent', { statuses: [200], steps: [initialize(), tell(), tell()] });
  sameAsStock('may be open before the handshake is complete', {
    statuses: [200, 200, 202],
    steps: [initialize(), get(), post(notification('notifications/initialized')), tell()]
  });
  sameAsStock('ends with the session', { statuses: [200, 200, 200], steps: [initialize(), get(), tell(), del()] });
});

describe('keep-alive comments', () => {
  const options = { keepAliveMs: 5 };
  const comment = ': keepalive';
  sameAsStock('go out on every stream that stays open', {
    options,
    statuses: [200, 200, 200],
    steps: [
      initialize(),
      get(),
      open(1, 'notify'),
      { do: 'read', exchange: 'get', text: comment },
      { do: 'read', exchange: '1', text: comment },
      answer(1),
      { do: 'finish', exchange: '1' }
    ]
  });
  sameAsStock('go out on a resumed stream', {
    options: { ...options, eventStore: 'full' },
    statuses: [200, 200, 200],
    steps: [
      initialize(),
      open(1, 'notify'),
      { do: 'abort', exchange: '1' },
      get({ as: 'resumed' }, 's2-1'),
      { do: 'read', exchange: 'resumed', text: comment }
    ]
  });
  for (const keepAliveMs of [0, -1, NaN, Infinity, 0.5]) {
    sameAsStock(`are turned off by ${keepAliveMs}`, {
      options: { keepAliveMs },
      statuses: [200, 200],
      shows: stock => expect(stock.exchanges[1]!.body).not.toContain(comment),
      steps: [initialize(), open(1, 'notify'), answer(1)]
    });
  }
});

describe('JSON mode', () => {
  const options = { enableJsonResponse: true };
  sameAsStock('answers requests with one body', {
    options,
    statuses: [200, 202, 200, 200],
    steps: [...handshake(), post(run(1, 'notify', 'take a turn', 'answer')), post(run(2, 'fail'))]
  });
  sameAsStock('answers a batch in the order of its requests', {
    options,
    statuses: [200, 202, 200, 200],
    steps: [
      ...handshake(),
      post([run(2, 'take a turn', 'answer'), notification(), run(1, 'answer'), run('x', 'fail')]),
      post([run(1, 'answer')])
    ]
  });
  sameAsStock('answers batches that are open at the same time', {
    options,
    statuses: [200, 200, 200],
    steps: [
      initialize(),
      post([run(1), run(2)], { as: 'a', until: 'open' }),
      post([run(3), run(4)], { as: 'b', until: 'open' }),
      answer(4),
      answer(1),
      { do: 'look', exchange: 'a' },
      answer(3),
      { do: 'finish', exchange: 'b' },
      answer(2),
      { do: 'finish', exchange: 'a' }
    ]
  });
  sameAsStock('drops other messages, and does not know requests that were answered', {
    options,
    statuses: [200, 200],
    steps: [initialize(), open(1), tell(1), answer(1), tell(1), answer(1), tell()]
  });
  sameAsStock('sends the last of two answers to a request of an open batch', {
    options,
    statuses: [200, 200],
    steps: [
      initialize(),
      post([run(1), run(2)], { as: 'batch', until: 'open' }),
      answer(1),
      { do: 'send', message: result(1, { second: true }) },
      answer(2),
      { do: 'finish', exchange: 'batch' }
    ]
  });
  sameAsStock('still has a standalone stream', {
    options,
    statuses: [200, 200, 409],
    steps: [initialize(), get(), tell(), { do: 'read', exchange: 'get', events: 1 }, get({ as: 'second' })]
  });
  sameAsStock('stores no request streams', {
    options: { ...options, eventStore: 'full' },
    statuses: [200, 200, 200],
    steps: [initialize(), open(1, 'notify', 'ask', 'answer'), get(), tell()]
  });
  sameAsStock('gives the server no way to make the client poll', {
    options: { ...options, eventStore: 'full' },
    statuses: [200, 200],
    steps: [initialize(), post(run(1, 'leave', 'leave standalone', 'answer'), { version: '2025-11-25' })]
  });
  sameAsStock('continues after a client has left', {
    options,
    adapter: 'node',
    statuses: [200, undefined, 200],
    steps: [
      initialize(),
      open(1),
      { do: 'abort', exchange: '1' },
      answer(1),
      { do: 'finish', exchange: '1' },
      open(2, 'answer')
    ]
  });
  sameAsStock('answers 500 if the server throws (node)', {
    options,
    adapter: 'node',
    statuses: [200, 500, 200],
    steps: [initialize(), post(run(1, 'throw')), post(run(2, 'answer'))]
  });
  sameAsStock('throws if the server throws (web)', {
    options,
    adapter: 'web',
    statuses: [200, undefined, 200],
    steps: [initialize(), post(run(1, 'throw')), post(run(2, 'answer'))]
  });
});
