import { sameAsStock } from './compare.js';
import {
  bare,
  del,
  get,
  handshake,
  initialize,
  initializeMessage,
  notification,
  post,
  request,
  run,
  type CallbackBehaviour
} from './script.js';

describe('a session', () => {
  sameAsStock('is opened, used and ended', {
    statuses: [200, 202, 200, 200, 200],
    steps: [...handshake(), post(run(1, 'answer')), get(), del()]
  });
  sameAsStock('is required before anything but initialize', {
    statuses: [400, 400, 400],
    steps: [post(run(1, 'answer'), { session: null }), get({ session: null }), del({ session: null })]
  });
  sameAsStock('must be named once it is open', {
    statuses: [200, 400, 400, 400, 400],
    steps: [
      initialize(),
      post(notification(), { session: null }),
      get({ session: null }),
      del({ session: null }),
      post(notification(), { session: '' })
    ]
  });
  const others = ['other', 'SESSION-1', 'session-1,', 'é', 'x'.repeat(300), 'a b', '0', 'null'];
  sameAsStock('is not found under another name', {
    statuses: [200, ...others.map(() => 404), ...others.map(() => 404), ...others.map(() => 404)],
    steps: [
      initialize(),
      ...others.map(session => post(notification(), { session })),
      ...others.map(session => get({ session })),
      ...others.map(session => del({ session }))
    ]
  });
  sameAsStock('is not found if the header is repeated', {
    statuses: [200, 404],
    steps: [
      initialize(),
      bare('GET', [
        ['accept', 'text/event-stream'],
        ['mcp-session-id', 'session-1'],
        ['Mcp-Session-Id', 'session-1']
      ])
    ]
  });
  sameAsStock('may be named with white space around it', {
    statuses: [200, 202],
    steps: [initialize(), post(notification(), { session: '  session-1\t' })]
  });
  sameAsStock('is opened once', {
    statuses: [200, 400, 400, 400],
    steps: [
      initialize(),
      initialize(),
      post(initializeMessage(), { session: 'session-1' }),
      post([initializeMessage(), notification()], { session: 'other' })
    ]
  });
  sameAsStock('may be opened by a client that names an old one', {
    statuses: [200, 202],
    steps: [post(initializeMessage(), { session: 'stale' }), post(notification())]
  });
  sameAsStock('may be opened by an initialize without an id', {
    statuses: [202, 202],
    steps: [
      post(notification('initialize', (initializeMessage() as { params: Record<string, unknown> }).params), {
        session: null
      }),
      post(notification())
    ]
  });
  sameAsStock('is not opened by an initialize with wrong params', {
    statuses: [400, 400],
    steps: [
      post(request(1, 'initialize', {}), { session: null }),
      post(
        request(1, 'initialize', { protocolVersion: 1, capabilities: {}, clientInfo: { name: 'a', version: 'b' } }),
        {
          session: null
        }
      )
    ]
  });
  for (const version of ['2024-11-05', '1999-01-01', '2099-01-01', '']) {
    sameAsStock(`is opened for protocol version '${version}'`, {
      statuses: [200],
      steps: [initialize({ protocolVersion: version })]
    });
  }
  sameAsStock('has ended permanently after DELETE', {
    statuses: [200, 200, 404, 404, 404, 404, 404],
    steps: [initialize(), del(), post(notification()), get(), del(), initialize(), bare('PUT')]
  });
  sameAsStock('has ended permanently after close', {
    statuses: [200, 404, 404],
    steps: [initialize(), { do: 'close' }, post(notification()), initialize(), { do: 'close' }]
  });
  sameAsStock('cannot be opened on a transport that was closed before', {
    statuses: [404],
    steps: [{ do: 'close' }, initialize()]
  });
  sameAsStock('has no streams after DELETE', {
    statuses: [200, 200, 200, 200],
    steps: [
      initialize(),
      get(),
      post(run(1, 'notify'), { as: 'open', until: 'open' }),
      del(),
      { do: 'finish', exchange: 'get' },
      { do: 'finish', exchange: 'open' }
    ]
  });
  sameAsStock('ends while requests are open, and late answers are errors', {
    statuses: [200, 200],
    shows: stock => expect(stock.sends['script: 1']![0]!.outcome).toMatch(/./),
    steps: [
      initialize(),
      post(run(1), { as: 'open', until: 'open' }),
      { do: 'close' },
      { do: 'send', message: { jsonrpc: '2.0', id: 1, result: {} } },
      { do: 'send', message: notification(), relatedRequestId: 1 },
      { do: 'send', message: notification() }
    ]
  });
  for (const fixed of ['', 'a b', 'é', '\u00a0', ' a ', 'x'.repeat(300), 'a:b', '__proto__']) {
    sameAsStock(`may have any id that a header carries in memory mode: '${fixed.slice(0, 9)}'`, {
      mode: 'memory',
      options: { sessions: { fixed }, eventStore: 'full' },
      statuses: [200, fixed === '' ? 400 : fixed === ' a ' ? 404 : 200, 400],
      steps: [initialize(), post(run(1, 'notify', 'answer'), { session: fixed }), initialize()]
    });
  }
});

describe('a transport without sessions', () => {
  const options = { sessions: 'none' } as const;
  sameAsStock('serves one exchange', { options, statuses: [200], steps: [post(run(1, 'answer'), { session: null })] });
  sameAsStock('answers a second exchange with an error', {
    options,
    adapter: 'node',
    statuses: [200, 500, 500],
    steps: [initialize(), post(run(1, 'answer'), { session: null }), bare('PUT')]
  });
  sameAsStock('throws at a second exchange', {
    options,
    adapter: 'web',
    statuses: [405, undefined],
    steps: [bare('PUT'), post(run(1, 'answer'))]
  });
  sameAsStock('ignores any session id', { options, statuses: [200], steps: [post(run(1, 'answer'))] });
  sameAsStock('may be initialized', { options, statuses: [200], steps: [initialize()] });
  sameAsStock('may be asked for a stream', { options, statuses: [200], steps: [get({ session: null })] });
  sameAsStock('may be deleted', { options, statuses: [200], steps: [del({ session: null })] });
});

describe('callbacks', () => {
  const behaviours: CallbackBehaviour[] = ['throws', 'rejects', 'takes a turn', 'closes', 'is absent'];
  for (const behaviour of behaviours) {
    const opening = {
      throws: 400,
      rejects: 400,
      'takes a turn': 200,
      closes: 404,
      'is absent': 200,
      returns: 200,
      waits: 200
    };
    sameAsStock(`onsessioninitialized ${behaviour}`, {
      options: { onsessioninitialized: behaviour },
      statuses: [opening[behaviour], behaviour === 'closes' ? 404 : 202],
      steps: [initialize(), post(notification())]
    });
    const fails = behaviour === 'throws' || behaviour === 'rejects';
    sameAsStock(`onsessionclosed ${behaviour} on Node`, {
      adapter: 'node',
      options: { onsessionclosed: behaviour },
      statuses: [200, fails ? 500 : 200, 404],
      steps: [initialize(), del(), post(notification())]
    });
    sameAsStock(`onsessionclosed ${behaviour} on the web`, {
      adapter: 'web',
      options: { onsessionclosed: behaviour },
      statuses: [200, fails ? undefined : 200, 404],
      steps: [initialize(), del(), post(notification())]
    });
  }
  sameAsStock('onsessioninitialized that fails leaves the session open', {
    options: { onsessioninitialized: 'throws' },
    statuses: [400, 400, 200],
    steps: [initialize(), initialize(), post(run(1, 'answer'))]
  });
  sameAsStock('onsessioninitialized is waited for, and a second initialize is refused meanwhile', {
    options: { onsessioninitialized: 'waits' },
    statuses: [200, 400, 202],
    steps: [
      initialize({ as: 'first', until: 'sent' }),
      { do: 'await', callback: 'onsessioninitialized' },
      initialize(),
      post(notification()),
      { do: 'release' },
      { do: 'finish', exchange: 'first' }
    ]
  });
  sameAsStock('a transport that is closed while onsessioninitialized is waited for answers 404', {
    options: { onsessioninitialized: 'waits' },
    statuses: [404],
    steps: [
      initialize({ as: 'first', until: 'sent' }),
      { do: 'await', callback: 'onsessioninitialized' },
      { do: 'close' },
      { do: 'release' },
      { do: 'finish', exchange: 'first' }
    ]
  });
  sameAsStock('onsessionclosed is waited for, and in memory mode the session is served meanwhile', {
    mode: 'memory',
    options: { onsessionclosed: 'waits' },
    statuses: [200, 200, 200, 404],
    steps: [
      initialize(),
      del({ as: 'delete', until: 'sent' }),
      { do: 'await', callback: 'onsessionclosed' },
      post(run(1, 'answer')),
      { do: 'release' },
      { do: 'finish', exchange: 'delete' },
      post(notification())
    ]
  });
  sameAsStock('sessionIdGenerator throws', {
    options: { sessions: 'throwing' },
    statuses: [400, 400],
    steps: [initialize(), post(notification())]
  });
  sameAsStock('onmessage throws on a notification', {
    server: 'responder',
    statuses: [200, 400, 202],
    steps: [initialize(), post(run(1, 'throw')), post(notification())]
  });
  sameAsStock('onmessage throws in a batch', {
    sdk: 1,
    statuses: [200, 400, 200],
    shows: stock =>
      expect(stock.sends['responder: 1']!.map(each => each.outcome)).toEqual([
        expect.stringContaining('No connection')
      ]),
    steps: [
      initialize(),
      post([run(1, 'take a turn', 'answer'), run(2, 'throw'), run(3, 'answer')], {}),
      post(run(2, 'answer'))
    ]
  });
  sameAsStock('onmessage throws in a batch, and an answer to another of its requests is on its way', {
    statuses: [200, 400],
    steps: [initialize(), post([run(1, 'wait for sends', 'answer'), run(2, 'throw')])]
  });
  sameAsStock('onmessage closes the transport', {
    statuses: [200, 200, 404],
    steps: [initialize(), post(run(1, 'close', 'answer')), post(notification())]
  });
});
