import { sameAsStock } from './compare.js';
import { get, handshake, initialize, notification, post, result, run, type Act, type Step } from './script.js';

const version = '2025-11-25';
const open = (id: number | string, ...acts: Act[]): Step =>
  post(run(id, ...acts), { as: String(id), until: 'open', version });
const tell = (relatedRequestId?: number | string): Step => ({ do: 'send', message: notification(), relatedRequestId });
const answer = (id: number | string): Step => ({ do: 'send', message: result(id, { from: 'script' }) });

describe('priming', () => {
  sameAsStock('needs an event store', {
    statuses: [200, 200],
    shows: stock => expect(stock.exchanges[1]!.body).not.toContain('id:'),
    steps: [initialize(), open(1, 'notify', 'answer')]
  });
  for (const [protocolVersion, primed] of [
    ['2025-06-18', false],
    ['2025-11-25', true]
  ] as const) {
    sameAsStock(`follows the version that initialize asks for: ${protocolVersion}`, {
      options: { eventStore: 'full' },
      statuses: [200],
      shows: stock => expect(stock.exchanges[0]!.body.startsWith('id: s1-1\ndata: \n\n')).toBe(primed),
      steps: [initialize({ protocolVersion })]
    });
    sameAsStock(`follows the header: ${protocolVersion}`, {
      options: { eventStore: 'full' },
      statuses: [200, 200],
      shows: stock => expect(stock.exchanges[1]!.body.includes('data: \n\n')).toBe(primed),
      steps: [initialize({ protocolVersion: '2025-06-18' }), post(run(1, 'answer'), { version: protocolVersion })]
    });
  }
  for (const protocolVersion of ['2099-01-01', 'zzz', '1999', '']) {
    sameAsStock(`compares the version as text: '${protocolVersion}'`, {
      options: { eventStore: 'full' },
      statuses: [200],
      steps: [initialize({ protocolVersion })]
    });
  }
  sameAsStock('is not done without a header, whatever was negotiated', {
    options: { eventStore: 'full' },
    statuses: [200, 200],
    shows: stock => expect(stock.exchanges[1]!.body).not.toContain('data: \n\n'),
    steps: [initialize(), post(run(1, 'answer'))]
  });
  for (const retryInterval of [0, 1, 2500]) {
    sameAsStock(`sends the retry interval: ${retryInterval}`, {
      options: { eventStore: 'full', retryInterval },
      statuses: [200, 200, 200],
      shows: stock => expect(stock.exchanges[0]!.body).toContain(`retry: ${retryInterval}`),
      steps: [initialize(), open(1, 'answer'), post(run(2, 'answer'))]
    });
  }
  sameAsStock('is not done on the standalone stream or for notifications', {
    options: { eventStore: 'full', retryInterval: 100 },
    statuses: [200, 200, 202],
    steps: [initialize(), get({ version }), post(notification(), { version }), tell()]
  });
  sameAsStock('gives the server the functions that make the client poll', {
    options: { eventStore: 'full' },
    statuses: [200, 200],
    steps: [initialize(), post([run(1, 'answer'), notification(), run(2, 'answer')], { version })]
  });
});

for (const eventStore of ['full', 'minimal'] as const) {
  describe(`resuming with a ${eventStore} event store`, () => {
    const options = { eventStore };
    sameAsStock('replays the later events, then continues live', {
      options,
      statuses: [200, 202, 200, 200],
      steps: [
        ...handshake(),
        open(1, 'notify', 'notify'),
        { do: 'abort', exchange: '1' },
        tell(1),
        get({ as: 'resumed' }, 's2-2'),
        { do: 'read', exchange: 'resumed', events: 2 },
        tell(1),
        { do: 'read', exchange: 'resumed', events: 3 },
        answer(1),
        { do: 'finish', exchange: 'resumed' }
      ]
    });
    sameAsStock('replays a response that came while the client was away', {
      options,
      statuses: [200, 200, 200],
      steps: [
        initialize(),
        open(1, 'notify'),
        { do: 'abort', exchange: '1' },
        answer(1),
        get({ as: 'resumed' }, 's2-1'),
        { do: 'read', exchange: 'resumed', events: 2 },
        tell(1),
        { do: 'look', exchange: 'resumed' }
      ]
    });
    sameAsStock('replays the standalone stream, and holds its place', {
      options,
      statuses: [200, 200, 200, 409],
      steps: [
        initialize(),
        get(),
        tell(),
        tell(),
        { do: 'abort', exchange: 'get' },
        tell(),
        get({ as: 'resumed' }, 'get-1'),
        { do: 'read', exchange: 'resumed', events: 2 },
        tell(),
        { do: 'read', exchange: 'resumed', events: 3 },
        get({ as: 'second' })
      ]
    });
    sameAsStock('continues after the last event of the stream', {
      options,
      statuses: [200, 200, 200],
      steps: [initialize(), get(), tell(), { do: 'abort', exchange: 'get' }, get({ as: 'resumed' }, 'get-1'), tell()]
    });
    sameAsStock('can be repeated', {
      options,
      statuses: [200, 200, 200, 200, 200],
      steps: [
        initialize(),
        open(1, 'notify', 'leave'),
        { do: 'finish', exchange: '1' },
        get({ as: 'second' }, 's2-1'),
        { do: 'read', exchange: 'second', events: 1 },
        { do: 'closeStream', requestId: 1 },
        { do: 'finish', exchange: 'second' },
        tell(1),
        get({ as: 'third' }, 's2-2'),
        { do: 'abort', exchange: 'third' },
        answer(1),
        get({ as: 'fourth' }, 's2-3'),
        { do: 'read', exchange: 'fourth', events: 1 }
      ]
    });
    sameAsStock('of a stream that the server closed works without an earlier notification', {
      options,
      statuses: [200, 200, 200],
      steps: [
        initialize(),
        open(1, 'leave', 'take a turn', 'answer'),
        { do: 'finish', exchange: '1' },
        get({ as: 'resumed' }, 's2-1'),
        { do: 'read', exchange: 'resumed', events: 1 }
      ]
    });
    sameAsStock('does not affect other streams', {
      options,
      statuses: [200, 200, 200, 200],
      steps: [
        initialize(),
        open(1, 'notify'),
        open(2, 'notify'),
        { do: 'abort', exchange: '1' },
        get({ as: 'resumed' }, 's2-1'),
        answer(2),
        { do: 'finish', exchange: '2' },
        tell(1),
        answer(1),
        { do: 'finish', exchange: 'resumed' }
      ]
    });
    sameAsStock('treats an empty cursor as none', {
      options,
      statuses: [200, 200],
      steps: [initialize(), get({ headers: [['last-event-id', '']] }), tell()]
    });
    sameAsStock('requires the session', {
      options,
      statuses: [200, 400, 404],
      steps: [initialize(), get({ session: null }, 's1-1'), get({ session: 'other' }, 's1-1')]
    });
    sameAsStock('is possible at the end of an answered request', {
      options,
      statuses: [200, 200, 200],
      steps: [
        initialize(),
        open(1, 'notify', 'answer'),
        get({ as: 'resumed' }, 's2-2'),
        { do: 'read', exchange: 'resumed', events: 1 }
      ]
    });
    sameAsStock('continues a batch that is half answered', {
      options,
      statuses: [200, 200, 200],
      steps: [
        initialize(),
        post([run(1, 'answer'), run(2)], { as: 'batch', until: 'open', version }),
        { do: 'read', exchange: 'batch', events: 2 },
        { do: 'abort', exchange: 'batch' },
        get({ as: 'resumed' }, 's2-2'),
        answer(2),
        { do: 'finish', exchange: 'resumed' }
      ]
    });
    sameAsStock('works for a client of an older version once it has seen an event', {
      options,
      statuses: [200, 200, 200],
      steps: [
        initialize({ protocolVersion: '2025-06-18' }),
        post(run(1, 'notify'), { as: '1', until: 'open' }),
        { do: 'read', exchange: '1', events: 1 },
        { do: 'abort', exchange: '1' },
        answer(1),
        get({ as: 'resumed' }, 's2-1'),
        { do: 'read', exchange: 'resumed', events: 1 }
      ]
    });
    sameAsStock('does not work for a client of an older version that has seen no event', {
      options,
      statuses: [200, 200],
      steps: [
        initialize({ protocolVersion: '2025-06-18' }),
        post(run(1), { as: '1', until: 'open' }),
        { do: 'abort', exchange: '1' },
        tell(1),
        answer(1)
      ]
    });
    sameAsStock('shows that the client has a cursor, wherever the cursor came from', {
      options,
      statuses: [200, 200, 200],
      shows: stock => expect(stock.sends['script: 1']!.at(-1)!.outcome).toBe('sent'),
      steps: [
        initialize({ protocolVersion: '2025-06-18' }),
        post(run(1), { as: '1', until: 'open' }),
        { do: 'abort', exchange: '1' },
        tell(1),
        get({ as: 'resumed' }, 's2-1'),
        { do: 'abort', exchange: 'resumed' },
        answer(1)
      ]
    });
    sameAsStock('also works for tools that close the standalone stream', {
      options,
      statuses: [200, 200, 200, 200],
      steps: [
        initialize(),
        get(),
        tell(),
        open(1, 'leave standalone', 'answer'),
        { do: 'finish', exchange: 'get' },
        tell(),
        get({ as: 'resumed' }, 'get-1'),
        { do: 'read', exchange: 'resumed', events: 1 }
      ]
    });
  });
}

describe('a cursor', () => {
  const options = { eventStore: 'full' } as const;
  sameAsStock('of no event is refused', {
    options,
    statuses: [200, 400, 400, 400],
    steps: [initialize(), get({}, 'unknown'), get({}, 's9-1'), get({}, '..')]
  });
  sameAsStock('of a stream with a client is a conflict', {
    options,
    statuses: [200, 200, 409, 200, 409],
    steps: [
      initialize(),
      open(1, 'notify'),
      get({ as: 'conflict' }, 's2-1'),
      get(),
      tell(),
      { do: 'read', exchange: 'get', events: 1 },
      get({ as: 'another' }, 'get-1')
    ]
  });
  sameAsStock('that the store does not know is an error', {
    options: { eventStore: 'minimal' },
    statuses: [200, 500],
    steps: [initialize(), get({}, 'unknown')]
  });
  sameAsStock('is ignored without an event store', { statuses: [200, 200], steps: [initialize(), get({}, 'any')] });
  sameAsStock('that cannot be replayed is an error', {
    options: { eventStore: 'failingReplay' },
    statuses: [200, 200, 500, 200],
    steps: [
      initialize(),
      open(1, 'notify'),
      { do: 'abort', exchange: '1' },
      get({}, 's2-1'),
      get({ as: 'second' }),
      answer(1)
    ]
  });
});

describe('while the event store takes its time', () => {
  const options = { eventStore: 'full' } as const;
  const hold: Step = { do: 'hold', what: 'stores' };
  const release: Step = { do: 'release' };
  const tellUnawaited = (relatedRequestId?: number): Step => ({
    do: 'send unawaited',
    message: notification(),
    relatedRequestId
  });
  const answerUnawaited = (id: number): Step => ({ do: 'send unawaited', message: result(id) });
  const opened = [initialize(), open(1, 'notify')];
  const resumed = get({ as: 'resumed' }, 's2-2');
  const finish: Step = { do: 'finish', exchange: 'resumed' };

  sameAsStock('a resume delivers the event, and it is not delivered again', {
    options,
    statuses: [200, 200, 200],
    shows: stock => expect(stock.exchanges[2]!.body.match(/notifications\/test/g)).toHaveLength(1),
    steps: [
      ...opened,
      { do: 'abort', exchange: '1' },
      hold,
      tellUnawaited(1),
      { do: 'await stored', stream: 's2', events: 3 },
      resumed,
      { do: 'read', exchange: 'resumed', events: 1 },
      release,
      answer(1),
      finish
    ]
  });
  sameAsStock('a resume delivers the response and continues', {
    options,
    statuses: [200, 200, 200],
    steps: [
      ...opened,
      { do: 'abort', exchange: '1' },
      hold,
      answerUnawaited(1),
      { do: 'await stored', stream: 's2', events: 3 },
      resumed,
      { do: 'read', exchange: 'resumed', events: 1 },
      release,
      finish
    ]
  });
  sameAsStock('a client opens the standalone stream, and gets the event', {
    options,
    statuses: [200, 200],
    steps: [
      initialize(),
      hold,
      tellUnawaited(),
      { do: 'await stored', stream: 'get', events: 1 },
      get(),
      release,
      { do: 'read', exchange: 'get', events: 1 }
    ]
  });
  for (const [what, meanwhile] of [
    ['the client leaves', { do: 'abort', exchange: '1' }],
    ['the server closes the stream', { do: 'closeStream', requestId: 1 }],
    ['the transport is closed', { do: 'close' }]
  ] as [string, Step][]) {
    sameAsStock(`${what}, and the response is kept`, {
      options,
      statuses: [200, 200],
      steps: [
        ...opened,
        hold,
        answerUnawaited(1),
        { do: 'await stored', stream: 's2', events: 3 },
        meanwhile,
        release,
        { do: 'finish', exchange: '1' },
        answer(1)
      ]
    });
  }
  sameAsStock('a response to a client of an older version that leaves is an error', {
    options,
    statuses: [200, 200],
    steps: [
      initialize({ protocolVersion: '2025-06-18' }),
      post(run(1), { as: '1', until: 'open' }),
      hold,
      answerUnawaited(1),
      { do: 'await stored', stream: 's2', events: 1 },
      { do: 'abort', exchange: '1' },
      release
    ]
  });
  sameAsStock('a request is not given to the server before its stream is primed', {
    options,
    statuses: [200, 200],
    steps: [
      initialize(),
      hold,
      post(run(1, 'answer'), { as: 'held', until: 'sent', version }),
      { do: 'await stored', stream: 's2', events: 1 },
      release,
      { do: 'finish', exchange: 'held' }
    ]
  });
  const replaying: Step[] = [
    ...opened,
    { do: 'abort', exchange: '1' },
    { do: 'hold', what: 'replays' },
    get({ as: 'resumed', until: 'sent' }, 's2-2'),
    { do: 'await replays', count: 1 }
  ];
  sameAsStock('a replay is in progress when the transport is closed', {
    options,
    statuses: [200, 200, 404],
    steps: [...replaying, { do: 'close' }, release, finish]
  });
  sameAsStock('a client leaves during a replay and returns', {
    options,
    adapter: 'node',
    statuses: [200, 200, undefined, 200],
    steps: [
      ...replaying,
      { do: 'abort', exchange: 'resumed' },
      release,
      finish,
      tell(1),
      get({ as: 'again' }, 's2-2'),
      { do: 'read', exchange: 'again', events: 1 },
      answer(1),
      { do: 'finish', exchange: 'again' }
    ]
  });
  sameAsStock('of two replays of a stream at the same time, the later one gets the stream', {
    options,
    statuses: [200, 200, 200, 200],
    steps: [
      ...replaying,
      get({ as: 'later', until: 'sent' }, 's2-1'),
      { do: 'await replays', count: 2 },
      release,
      finish,
      tell(1),
      { do: 'read', exchange: 'later', events: 2 },
      answer(1),
      { do: 'finish', exchange: 'later' }
    ]
  });
  sameAsStock('a stream is being primed when its client leaves', {
    options,
    adapter: 'node',
    statuses: [200, undefined],
    steps: [
      initialize(),
      hold,
      post(run(1, 'answer'), { as: 'held', until: 'sent', version }),
      { do: 'await stored', stream: 's2', events: 1 },
      { do: 'abort', exchange: 'held' },
      release,
      { do: 'finish', exchange: 'held' }
    ]
  });
});
