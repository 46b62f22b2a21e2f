import type { IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { McpServer as SecondVersionServer } from '@modelcontextprotocol/server';
import { inspect } from 'node:util';
import { StreamableHTTPServerTransport } from 'mcp-sdk-anypod/server/streamableHttp.js';
import { WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server/webStandardStreamableHttp.js';
import { InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { StreamableHTTPServerTransport as StockNodeTransport } from 'mcp-sdk-upstream/server/streamableHttp.js';
import { WebStandardStreamableHTTPServerTransport as StockWebTransport } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { JSONRPCMessage, JSONRPCRequest, MessageExtraInfo, RequestInfo } from 'mcp-sdk-upstream/types.js';
import { defaultSseKeepAliveMs } from '../../src/engine/streams/sseKeepAlive.js';
import { allowedDifferences } from './allowedDifferences.js';
import { closeNodeEndpoint } from './endpoints.js';
import { play, type Transcript } from './harness.js';
import { normalise } from './normalise.js';
import { FOREIGN_EVENT } from './recordedEventStore.js';
import { get, handshake, initialize, jsonHeaders, notification, post, result, run } from './script.js';
import { bare, del, initializeMessage, request, type Script, type Step } from './script.js';
import { oracles, type Subject, subjects } from './subjects.js';
import { readSlowly } from './slowReader.js';
import { listen } from '../support/servers/listen.js';
import { useGlobalTimers } from '../support/useGlobalTimers.js';

afterAll(closeNodeEndpoint);

/** Shows a difference to be there: when upstream changes its mind, its entry is to go. */
const demonstrations: Record<number, () => void> = {
  1() {
    const twice = (answers: Step[]): Script => ({
      steps: [initialize(), open(1, 'a'), open(1, 'b'), ...answers, ...['a', 'b'].map(finish)]
    });
    shows(
      'each gets its own answer',
      twice([answer('1#1'), answer(1)]),
      { modes: 'both', late: true },
      {
        stock: ({ exchanges: [, first, second] }) => expect([first!.body, second!.body]).toEqual(['', said(1)]),
        ours: ({ exchanges: [, first, second] }) => expect([first!.body, second!.body]).toEqual([said(1), said(1)])
      }
    );
    const inOneBatch = { steps: [initialize(), post([run(1, 'answer'), run(1, 'answer')])] };
    shows(
      'in one batch too',
      inOneBatch,
      { modes: 'both' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.body.match(/"id":1,/g)).toHaveLength(1),
        ours: ({ exchanges }) => expect(exchanges[1]!.body.match(/"id":1,/g)).toHaveLength(2)
      }
    );
  },
  2() {
    const options = { enableJsonResponse: true };
    const waits = (...then: Step[]): Script => ({ options, steps: [initialize(), open(1), ...then] });
    for (const [modes, status] of [
      ['memory', 404],
      ['external', 503]
    ] as const) {
      shows(
        'when it is closed',
        waits({ do: 'close' }),
        { modes },
        {
          stock: ({ exchanges }) => expect(exchanges[1]!.status).toBeUndefined(),
          ours: ({ exchanges }) => expect(exchanges[1]).toMatchObject({ status, handled: 'resolved' })
        }
      );
    }
    shows(
      'when the session is deleted',
      waits(del()),
      { modes: 'both' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.status).toBeUndefined(),
        ours: ({ exchanges }) => expect(exchanges[1]).toMatchObject({ status: 404, handled: 'resolved' })
      }
    );
    shows(
      'when its stream, which it has not, is closed',
      waits({ do: 'closeStream', requestId: 1 }, answer(1)),
      {
        modes: 'both'
      },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.status).toBeUndefined(),
        ours: ({ exchanges }) => expect(exchanges[1]!.status).toBe(200)
      }
    );
    shows(
      'when it is cancelled',
      waits(cancel(1)),
      { modes: 'both' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.status).toBeUndefined(),
        ours: ({ exchanges }) => expect(exchanges[1]).toMatchObject({ status: 202, body: '', handled: 'resolved' })
      }
    );
  },
  3() {
    const script: Script = {
      options: { eventStore: 'full' },
      steps: [initialize(), { do: 'send', message: notification() }]
    };
    shows(
      'so that one store serves many sessions',
      script,
      { modes: 'both' },
      {
        stock: ({ streamIds }) => expect(streamIds).toEqual({ s1: '<uuid-1>', get: '_GET_stream' }),
        ours: ({ streamIds }) => expect(streamIds).toEqual({ s1: 'session-1:<uuid-1>', get: 'session-1:standalone' })
      }
    );
  },
  4() {
    for (const eventStore of ['full', 'minimal'] as const) {
      const script = { options: { eventStore }, steps: [initialize(), get({}, FOREIGN_EVENT)] };
      shows(
        `an event of another session, with a ${eventStore} store`,
        script,
        { modes: 'both' },
        {
          stock: ({ exchanges }) => expect(exchanges[1]!.status).toBe(200),
          ours: ({ exchanges, callbacks }) => {
            expect(exchanges[1]!.status).toBe(400);
            expect(exchanges[1]!.body).not.toContain('secret');
            expect(callbacks[1]).toEqual([{ onerror: 'Invalid event ID format' }]);
          }
        }
      );
    }
    const unknown: Script = { options: { eventStore: 'lenient' }, steps: [initialize(), get({}, 'unknown')] };
    shows(
      'an event that is not there, with a store that cannot tell before',
      unknown,
      { modes: 'both' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.status).toBe(200),
        ours: ({ exchanges }) => expect(exchanges[1]!.status).toBe(400)
      }
    );
  },
  5() {
    const failing: Script = { options: { eventStore: 'failing' }, steps: [initialize()] };
    shows(
      'when it fails',
      failing,
      { modes: 'both' },
      {
        stock: ({ exchanges }) => expect(exchanges[0]!.status).toBe(400),
        ours: ({ exchanges, callbacks }) => {
          expect(exchanges[0]!.status).toBe(200);
          expect(exchanges[0]!.body).not.toContain('id: ');
          expect(callbacks[0]).toContainEqual({ onerror: 'storeEvent failed' });
        }
      }
    );
    const polling: Script = {
      options: { eventStore: 'failing' },
      steps: [initialize(), post(run(1, 'leave', 'answer'), { version: '2025-11-25' })]
    };
    shows(
      'when it fails and the server wants its client to poll, who would have no cursor',
      polling,
      { modes: 'both' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.body).not.toContain('"id":1'),
        ours: ({ exchanges }) => expect(exchanges[1]!.body).toContain('"id":1')
      }
    );
    const older: Script = {
      options: { eventStore: 'failing' },
      steps: [initialize({ protocolVersion: '2025-06-18', until: 'open' }), get(), tell(), { do: 'close' }]
    };
    shows(
      'when it fails a client of an older version',
      older,
      { modes: 'both' },
      {
        stock: ({ exchanges, sends }) => {
          expect(exchanges.map(each => each.body)).toEqual(['', '']);
          expect(sends['script: undefined']![0]!.outcome).toBe('The event store is down');
        },
        ours: ({ exchanges }) => {
          expect(exchanges[0]!.body).toContain('"id":"init"');
          expect(exchanges[1]!.body).toContain('notifications/test');
        }
      }
    );
    const stuck: Script = { options: { eventStore: 'stuck', storeTimeoutMs: 20 }, steps: [initialize()] };
    shows(
      'when it does not answer',
      stuck,
      { modes: 'both', late: true },
      {
        stock: ({ exchanges }) => expect(exchanges[0]!.status).toBeUndefined(),
        ours: ({ exchanges }) => expect(exchanges[0]!.body).toContain('"id":"init"')
      }
    );
  },
  6() {
    it.each(subjects)('sends wait until the client has read ($name)', async subject => {
      for (const megabytes of [20, 60]) {
        const stock = await readSlowly(oracles[subject.adapter], megabytes);
        expect(stock).toEqual({ waiting: false, closed: false, onerror: [] });
      }
      expect(await readSlowly(subject, 20)).toEqual({ waiting: true, closed: false, onerror: [] });
      // Who is cut off is waited for no more.
      const cut = { waiting: false, closed: true, onerror: [expect.stringContaining('unread')] };
      expect(await readSlowly(subject, 60)).toEqual(cut);
    });
  },
  7() {
    shows(
      'before this transport has served any',
      { steps: [post(notification())] },
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges[0]!.status).toBe(400),
        ours: ({ exchanges }) => expect(exchanges[0]!.status).toBe(404)
      }
    );
    const down: Script = { options: { sessionStore: 'failing' }, steps: [initialize(), post(notification())] };
    shows(
      'and says nothing when it fails: 503, and the session lives on',
      down,
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.status).toBe(202),
        ours: ({ exchanges }) => {
          expect(exchanges[1]!.status).toBe(503);
          expect(exchanges[1]!.headers).toContainEqual(['retry-after', '1']);
        }
      }
    );
    const by = (clientId: string) => ({ authInfo: { token: 't', clientId, scopes: [] } });
    const stranger: Script = { steps: [initialize(by('one')), post(notification(), by('two'))] };
    shows(
      'to whom it belongs',
      stranger,
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.status).toBe(202),
        ours: ({ exchanges }) => expect(exchanges[1]!.status).toBe(404)
      }
    );
    const ending: Script = {
      options: { onsessionclosed: 'waits' },
      steps: [
        initialize(),
        del({ as: 'delete', until: 'sent' }),
        { do: 'await', callback: 'onsessionclosed' },
        post(notification()),
        { do: 'release' },
        finish('delete')
      ]
    };
    shows(
      'it is gone before onsessionclosed is called',
      ending,
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges.map(each => each.status)).toEqual([200, 200, 202]),
        ours: ({ exchanges }) => expect(exchanges.map(each => each.status)).toEqual([200, 200, 404])
      }
    );
    shows(
      'closing a transport does not end it',
      { steps: [initialize(), { do: 'close' }, post(notification())] },
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.status).toBe(404),
        ours: ({ exchanges }) => expect(exchanges[1]!.status).toBe(503)
      }
    );
    const refused: Script = {
      options: { onsessioninitialized: 'throws' },
      steps: [initialize(), post(notification())]
    };
    shows(
      'it is gone where onsessioninitialized fails',
      refused,
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges.map(each => each.status)).toEqual([400, 202]),
        ours: ({ exchanges, callbacks: [calls] }) => {
          expect(exchanges.map(each => each.status)).toEqual([400, 404]);
          expect(calls).toEqual([
            { onsessioninitialized: 'session-1' },
            'onclose',
            { onerror: 'onsessioninitialized fails' }
          ]);
        }
      }
    );
    const endingTwice: Script = {
      options: { onsessionclosed: 'waits' },
      steps: [
        initialize(),
        del({ as: 'one', until: 'sent' }),
        del({ as: 'two', until: 'sent' }),
        { do: 'await', callback: 'onsessionclosed' },
        { do: 'release' },
        finish('one'),
        finish('two')
      ]
    };
    const ends = ({ exchanges, callbacks }: Transcript) => [
      exchanges.map(each => each.status).sort(),
      callbacks.flat().filter(entry => (entry as { onsessionclosed?: string }).onsessionclosed)
    ];
    const closed = { onsessionclosed: 'session-1' };
    shows(
      'it is ended once',
      endingTwice,
      { modes: 'external' },
      {
        stock: transcript =>
          expect(ends(transcript)).toEqual([
            [200, 200, 200],
            [closed, closed]
          ]),
        ours: transcript => expect(ends(transcript)).toEqual([[200, 200, 404], [closed]])
      }
    );
  },
  8() {
    const none: Script = { options: { sessions: 'none' }, steps: [...handshake()] };
    shows(
      'when none is generated',
      { steps: [initialize()], options: none.options },
      { modes: 'external' },
      {
        stock: ({ sessionId }) => expect(sessionId).toBeUndefined(),
        ours: ({ sessionId }) => expect(sessionId).toMatch(/uuid/)
      }
    );
    for (const fixed of ['', 'a b', 'é', 'x'.repeat(257)]) {
      const script = { options: { sessions: { fixed } }, steps: [initialize()] };
      shows(
        `when '${fixed.slice(0, 5)}' is generated`,
        script,
        { modes: 'external' },
        {
          stock: ({ exchanges }) => expect(exchanges[0]!.status).toBe(200),
          ours: ({ exchanges, callbacks }) => {
            expect(exchanges[0]!.status).toBe(500);
            expect(callbacks[0]).toEqual([{ onerror: expect.stringContaining('sessionIdGenerator') as string }]);
          }
        }
      );
    }
    const broken: Script = { options: { sessions: { fixed: 'a\nb' } }, steps: [initialize()] };
    shows(
      'when no header can carry it, in memory mode too',
      broken,
      { modes: 'both' },
      {
        stock: ({ exchanges, callbacks }) => {
          expect(exchanges[0]!.status).toBe(400);
          expect(callbacks[0]).toContainEqual({ onsessioninitialized: 'a\nb' });
        },
        ours: ({ exchanges, callbacks }) => {
          expect(exchanges[0]!.status).toBe(500);
          expect(callbacks[0]).toEqual([{ onerror: expect.stringContaining('sessionIdGenerator') as string }]);
        }
      }
    );
  },
  9() {
    const wrong = [{ sessionIdGenerator: 'id' }, { eventStore: {} }, { onsessioninitialized: 5 }, [], null];
    it.each(subjects)('the constructor refuses options that cannot work ($name)', subject => {
      for (const options of wrong) {
        if (options !== null) expect(() => oracles[subject.adapter].create(options as never)).not.toThrow();
        if (subject.mode === 'memory') expect(() => subject.create(options as never)).toThrow('Invalid option');
      }
    });

    it.each<object>([
      { keepAliveMs: NaN },
      { keepAliveMs: -1 },
      { keepAliveMs: Infinity },
      { keepAliveMs: 'x' },
      { retryInterval: 'x' },
      { retryInterval: null },
      { enableDnsRebindingProtection: 'false', allowedHosts: 'localhost' },
      { enableDnsRebindingProtection: true, allowedHosts: null, allowedOrigins: null },
      { enableJsonResponse: 'false' }
    ])('other options of the SDK are accepted like by the SDK (%o)', async options => {
      const [stock, ours] = [await opened(StockWebTransport), await opened(WebStandardStreamableHTTPServerTransport)];
      expect(ours).toEqual(stock);

      async function opened(
        Transport: typeof StockWebTransport | typeof WebStandardStreamableHTTPServerTransport
      ): Promise<unknown> {
        const setInterval = jest.spyOn(globalThis, 'setInterval');
        const restoreTimers = useGlobalTimers();
        const eventStore = { storeEvent: async () => 'event', replayEventsAfter: async () => 'stream' };
        const transport = new Transport({ eventStore, ...options });
        const answerLater = async (message: object): Promise<void> => {
          // An answer of the same turn of the event loop needs no stream, and so no timer that keeps it alive.
          for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
          await transport.send({ jsonrpc: '2.0', id: (message as { id: number }).id, result: {} });
        };
        transport.onmessage = message => void answerLater(message);
        const headers = [...jsonHeaders, ['host', 'local']] as [string, string][];
        const body = JSON.stringify(initializeMessage());
        const response = await transport.handleRequest(new Request('http://local', { method: 'POST', headers, body }));
        const intervals = setInterval.mock.calls.length;
        restoreTimers();
        setInterval.mockRestore();
        return { status: response.status, text: await response.text(), intervals };
      }
    });
  },
  10() {
    const script: Script = { options: { onsessionclosed: 'throws' }, steps: [initialize(), del()] };
    shows(
      'from the application',
      script,
      { modes: 'both', adapter: 'node' },
      {
        stock: ({ callbacks }) => expect(callbacks[1]).toEqual([{ onsessionclosed: 'session-1' }, 'onclose']),
        ours: ({ callbacks }) =>
          expect(callbacks[1]).toEqual([
            { onsessionclosed: 'session-1' },
            'onclose',
            { onerror: 'onsessionclosed fails' }
          ])
      }
    );
    for (const adapter of ['node', 'web'] as const) {
      shows(
        'and what onerror throws ends there',
        { options: { onerror: 'throws' }, steps: [initialize(), post(run(1, 'answer'), { session: null })] },
        { modes: 'both', adapter },
        {
          stock: ({ exchanges }) =>
            expect(exchanges[1]).toMatchObject(
              adapter === 'node' ? { status: 500, body: '' } : { handled: 'rejected: Error: onerror fails' }
            ),
          ours: ({ exchanges, callbacks }) => {
            expect(exchanges[1]).toMatchObject({ status: 400, handled: 'resolved' });
            expect(callbacks[1]).toEqual([{ onerror: 'Bad Request: Mcp-Session-Id header is required' }]);
          }
        }
      );
    }
  },
  11() {
    for (const host of ['999.1.1.1', 'xn--a', '1.2.3.4.5']) {
      const at = (method: string): Step => bare(method, [['host', host]]);
      const opening = post(initializeMessage(), { session: null, headers: [...jsonHeaders, ['host', host]] });
      shows(
        host,
        { steps: [opening, at('PUT'), at('GET')] },
        { modes: 'both', adapter: 'node' },
        {
          stock: ({ exchanges }) => expect(exchanges.map(each => each.status)).toEqual([400, 405, 406]),
          ours: ({ exchanges }) => {
            expect(exchanges.map(each => each.status)).toEqual([400, 400, 400]);
            expect(exchanges.map(each => each.body)).toEqual(['', '', '']);
          }
        }
      );
    }
  },
  12() {
    const odd = [{ result: 'text' }, { result: undefined }, { result: null }, { error: { code: 'x', message: 'y' } }];
    for (const answer of odd) {
      const message = { jsonrpc: '2.0', id: 1, ...answer } as never;
      const script: Script = { steps: [initialize(), get(), open(1), { do: 'send', message }] };
      shows(
        JSON.stringify(answer),
        script,
        { modes: 'both' },
        {
          stock: ({ exchanges: [, standalone, asked] }) => {
            expect(asked!.body).toBe('');
            expect(standalone!.body).toContain('"id":1');
          },
          ours: ({ exchanges: [, standalone, asked] }) => {
            expect(asked!.body).toContain('"id":1');
            expect(standalone!.body).toBe('');
          }
        }
      );
    }
  },
  13() {
    const ask: Step = { do: 'send', message: { jsonrpc: '2.0', id: 7, method: 'ping' } };
    shows(
      'beside the id that the server gave',
      { steps: [initialize(), get(), ask], idsOnTheWire: true },
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.body).toContain('"id":7'),
        ours: ({ exchanges }) => expect(exchanges[1]!.body).toMatch(/"id":"[0-9a-f]{12}:7"/)
      }
    );
  },
  14() {
    shows(
      'under an id that was made by no server',
      { steps: [initialize(), post(result(99))] },
      { modes: 'external' },
      {
        stock: ({ callbacks }) => expect(callbacks[1]).toMatchObject([{ onmessage: { id: 99 } }]),
        ours: ({ exchanges, callbacks }) => {
          expect(exchanges[1]!.status).toBe(202);
          expect(callbacks[1]).toEqual([{ onerror: expect.stringContaining('Dropped a response') as string }]);
        }
      }
    );
  },
  15() {
    const steps = [initialize(), get({ as: 'first' }), get({ as: 'second' }), finish('first')];
    shows(
      'the first is closed',
      { steps, options: { standaloneStream: 'the default' } },
      { modes: 'external', late: true },
      {
        stock: ({ exchanges }) => expect(exchanges.map(({ status }) => status)).toEqual([200, 200, 409]),
        ours: ({ exchanges, late }) => {
          expect(exchanges.map(({ status }) => status)).toEqual([200, 200, 200]);
          expect(late).toEqual([]);
        }
      }
    );
  },
  16() {
    const version = '2025-11-25';
    const answered = post(run(1, 'notify', 'answer'), { version });
    shows(
      'from half way',
      {
        options: { eventStore: 'full' },
        steps: [...handshake(), answered, get({ version }, 's2-1'), finish('get')]
      },
      { modes: 'external', late: true },
      {
        stock: ({ exchanges, late }) => {
          expect(exchanges.at(-1)!.body).not.toContain('data: \n\n');
          expect(late).toHaveLength(1);
        },
        ours: ({ exchanges, late }) => {
          expect(exchanges.at(-1)!.body).toMatch(/^id: s2-1\ndata: \n\n/);
          expect(late).toEqual([]);
        }
      }
    );
    shows(
      'from the end',
      { options: { eventStore: 'full' }, steps: [...handshake(), answered, get({ version }, 's2-3')] },
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges.at(-1)!.status).toBe(200),
        ours: ({ exchanges }) => expect(exchanges.at(-1)!.status).toBe(204)
      }
    );
  },
  17() {
    const script: Script = {
      options: { eventStore: 'full' },
      steps: [
        initialize(),
        { do: 'hold', what: 'stores' },
        post(run(1), { as: 'held', until: 'sent', version: '2025-11-25' }),
        { do: 'await stored', stream: 's2', events: 1 },
        { do: 'close' },
        { do: 'release' },
        finish('held')
      ]
    };
    for (const [modes, status, reports] of [
      ['memory', 404, []],
      ['external', 503, [{ onerror: 'The session is closed on this pod' }]]
    ] as const) {
      shows(
        'and the server is told nothing',
        script,
        { modes },
        {
          stock: ({ exchanges, callbacks }) => {
            expect(exchanges[1]!.status).toBe(400);
            expect(exchanges[1]!.body).toContain('Invalid state');
            expect(callbacks.flat()).toContainEqual({ onerror: expect.stringContaining('Invalid state') as string });
          },
          ours: ({ exchanges, callbacks }) => {
            expect(exchanges[1]!.status).toBe(status);
            const calls = callbacks.flat();
            expect(calls.slice(calls.indexOf('onclose'))).toEqual(['onclose', ...reports]);
          }
        }
      );
    }
  },
  18() {
    const sent: Step = { do: 'send', message: notification(), relatedRequestId: 1 };
    const script: Script = {
      options: { eventStore: 'full' },
      steps: [
        initialize(),
        post(run(1, 'notify'), { as: 'open', until: 'open', version: '2025-11-25' }),
        { do: 'abort', exchange: 'open' },
        { do: 'hold', what: 'replays' },
        get({ as: 'resumed', until: 'sent' }, 's2-2'),
        { do: 'await replays', count: 1 },
        sent,
        { do: 'release' },
        sent,
        answer(1),
        finish('resumed')
      ]
    };
    const told = ({ exchanges }: Transcript): string[] => exchanges[2]!.body.match(/^id: .+$/gm) ?? [];
    shows(
      'between what was read and what is live',
      script,
      { modes: 'both' },
      {
        stock: transcript => expect(told(transcript)).toEqual(['id: s2-4', 'id: s2-5']),
        ours: transcript => expect(told(transcript)).toEqual(['id: s2-3', 'id: s2-4', 'id: s2-5'])
      }
    );
  },
  19() {
    it('members of the class are accessors, not fields, and look the same in every other way', async () => {
      const [stock, ours] = await Promise.all([StockWebTransport, WebStandardStreamableHTTPServerTransport].map(told));
      expect(Object.keys(stock!)).toEqual(['headers', 'url']);
      expect(Object.keys(ours!)).toEqual([]);
      expect(JSON.stringify(ours)).toBe(JSON.stringify(stock));
      expect(inspect(ours)).toBe(inspect(stock));
      expect({ headers: ours!.headers, url: ours!.url }).toEqual(stock);
    });

    async function told(
      Transport: typeof StockWebTransport | typeof WebStandardStreamableHTTPServerTransport
    ): Promise<RequestInfo> {
      const transport = new Transport({});
      let extra: MessageExtraInfo | undefined;
      transport.onmessage = (_, given) => (extra = given);
      await transport.handleRequest(
        new Request('http://localhost/mcp?a=1', {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'x-a': 'ü' },
          body: '{"jsonrpc":"2.0","method":"notifications/initialized"}'
        })
      );
      return extra!.requestInfo!;
    }
  },
  20() {
    const version = '2025-11-25';
    const script: Script = {
      options: { eventStore: 'full' },
      steps: [
        initialize(),
        post(run(1, 'notify'), { as: 'open', until: 'open', version }),
        { do: 'abort', exchange: 'open' },
        cancel(1),
        { do: 'send', message: notification('notifications/late'), relatedRequestId: 1 },
        get({ as: 'resumed', version }, 's2-1')
      ]
    };
    shows(
      'and what the server says of it later is dropped',
      script,
      { modes: 'both' },
      {
        stock: ({ exchanges }) => expect(exchanges[3]!.body).toContain('notifications/late'),
        ours: ({ exchanges, sends }) => {
          expect(exchanges[3]!.body).toContain('notifications/related');
          expect(exchanges[3]!.body).not.toContain('notifications/late');
          expect(sends['script: 1']).toMatchObject([{ outcome: 'sent' }]);
        }
      }
    );
  },
  21() {
    const called = jest.fn();

    it('TypeScript refuses a subclass that declares a member as a field, which would hide it', async () => {
      class Stock extends StockWebTransport {
        override onclose = called;
      }
      class Ours extends WebStandardStreamableHTTPServerTransport {
        // @ts-expect-error the base class has an accessor
        override onclose = called;
      }
      await new Ours().close();
      expect(called).toHaveBeenCalledTimes(0);
      await new Stock().close();
      expect(called).toHaveBeenCalledTimes(1);
    });

    it('a subclass that assigns a callback in its constructor is called', async () => {
      class Ours extends WebStandardStreamableHTTPServerTransport {
        constructor() {
          super();
          this.onclose = called;
        }
      }
      called.mockReset();
      await new Ours().close();
      expect(called).toHaveBeenCalledTimes(1);
    });

    it('code that restored a session by a private field of the SDK throws a TypeError', () => {
      const markAsOpen = (transport: object) => {
        (transport as { _webStandardTransport: { _initialized: boolean } })._webStandardTransport._initialized = true;
      };
      markAsOpen(new StockNodeTransport({ sessionIdGenerator: () => 'x' }));
      expect(() => markAsOpen(new StreamableHTTPServerTransport({ sessionIdGenerator: () => 'x' }))).toThrow(TypeError);
    });
  },
  22() {
    const clientInfo = { name: 'x'.repeat(70_000), version: '1' };
    const large = request('init', 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
    shows(
      'and nothing is stored of it',
      { steps: [post(large, { session: null }), post(run(1, 'answer'))] },
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges.map(({ status }) => status)).toEqual([200, 200]),
        ours: ({ exchanges }) => {
          expect(exchanges.map(({ status }) => status)).toEqual([413, 404]);
          expect(exchanges[0]!.body).toContain('Payload Too Large: The handshake must not exceed 65536 bytes');
        }
      }
    );
  },
  23() {
    it.each([
      ['stock', StockNodeTransport, 400],
      ['ours', StreamableHTTPServerTransport, 200]
    ])('behind a middleware that sets it (%s)', async (_whose, Transport, expected) => {
      const server = await listen((req: IncomingMessage & { body?: unknown }, res) => {
        const transport = new Transport({ sessionIdGenerator: () => 'x', enableJsonResponse: true });
        transport.onmessage = message => {
          void transport.send({ jsonrpc: '2.0', id: (message as { id: number }).id, result: {} });
        };
        void json(req).then(body => {
          req.body = body;
          return transport.handleRequest(req, res);
        });
      });
      try {
        const body = JSON.stringify(initializeMessage());
        const response = await fetch(server.origin, {
          method: 'POST',
          headers: jsonHeaders,
          body
        });
        expect(response.status).toBe(expected);
      } finally {
        await server.stop();
      }
    });
  },
  24() {
    it.each([
      ['stock', StockNodeTransport, undefined],
      ['ours', StreamableHTTPServerTransport, 'ANYPOD_UNSUPPORTED_RUNTIME']
    ])('(%s)', async (_whose, Transport, expected) => {
      const server = new SecondVersionServer({ name: 'probe', version: '1' });
      const refusal = await server.connect(new Transport() as never).then(
        () => undefined,
        (error: { code?: string }) => error.code
      );
      expect(refusal).toBe(expected);
    });
  },
  25() {
    /** The messages on a GET stream that is opened right after the server has sent the first one; another follows. */
    async function early(first: JSONRPCMessage, speaker: Web, holder = speaker): Promise<string[]> {
      const exchange = (transport: Web, method: string, headers: [string, string][], body?: string) =>
        transport.handleRequest(new Request('http://mcp.test/', { method, headers, body }));
      for (const transport of new Set([speaker, holder])) {
        transport.onmessage = message => {
          const isRequest = 'id' in message && 'method' in message;
          if (isRequest) void transport.send({ jsonrpc: '2.0', id: message.id, result: {} });
        };
      }
      const opened = await exchange(speaker, 'POST', jsonHeaders, JSON.stringify(initializeMessage()));
      await speaker.send(first);
      const headers: [string, string][] = [
        ['accept', 'text/event-stream'],
        ['mcp-session-id', opened.headers.get('mcp-session-id')!]
      ];
      const stream = await exchange(holder, 'GET', headers);
      await speaker.send(notification());
      const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      while (!text.includes('data: ')) text += (await reader.read()).value;
      await Promise.all([speaker, holder].map(transport => transport.close()));
      for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
      return text.match(/^data: /gm) ?? [];
    }
    type Web = StockWebTransport | WebStandardStreamableHTTPServerTransport;
    const sessionIdGenerator = (): string => 'a-session';

    const twoPods = (): [Web, Web] => {
      const options = { sessionIdGenerator, sessionStore: new InMemorySessionStore() };
      return [
        new WebStandardStreamableHTTPServerTransport(options),
        new WebStandardStreamableHTTPServerTransport(options)
      ];
    };
    const question: JSONRPCMessage = { jsonrpc: '2.0', id: 0, method: 'roots/list' };

    it('a question that is sent just before the GET arrives is delivered, on the same pod and on another', async () => {
      expect(await early(question, new StockWebTransport({ sessionIdGenerator }))).toHaveLength(1);
      expect(await early(question, ...twoPods())).toHaveLength(2);
      expect(await early(question, twoPods()[0])).toHaveLength(2);
    });
    it('a notification that is sent before the GET arrives is dropped on every pod, as by the SDK', async () => {
      expect(await early(notification(), new StockWebTransport({ sessionIdGenerator }))).toHaveLength(1);
      expect(await early(notification(), ...twoPods())).toHaveLength(1);
      expect(await early(notification(), twoPods()[0])).toHaveLength(1);
    });
  },
  26() {
    let nested: unknown = {};
    for (let level = 0; level < 2000; level++) nested = [nested];
    const message = initializeMessage() as JSONRPCRequest & { params: { capabilities: Record<string, unknown> } };
    message.params.capabilities.experimental = { nested: { nested } };
    shows(
      'an initialize request with more levels is answered 400',
      { steps: [post(message, { session: null })] },
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges[0]!.status).toBe(200),
        ours: ({ exchanges }) => {
          expect(exchanges[0]!.status).toBe(400);
          expect(exchanges[0]!.body).toContain('nested deeper than 1000 levels');
        }
      }
    );
  },
  27() {
    const script: Script = {
      options: { eventStore: 'full' },
      // The store of this test knows an event by the id alone.
      steps: [initialize(), get({ until: 'open' }, 'session-1:standalone@17'), get({}, 'session-1:standalone@forged')]
    };
    shows(
      'and what was missed is reported',
      script,
      { modes: 'external' },
      {
        stock: ({ exchanges }) => expect(exchanges.slice(1).map(({ status }) => status)).toEqual([400, 400]),
        ours: ({ exchanges, callbacks }) => {
          expect(exchanges.slice(1).map(({ status }) => status)).toEqual([200, 400]);
          expect(callbacks[1]).toEqual([{ onerror: expect.stringContaining('goes on from now') as string }]);
        }
      }
    );
  },
  28() {
    const version = '2025-11-25';
    const script: Script = {
      options: { eventStore: 'full' },
      steps: [initialize(), get({ as: 'get', until: 'open', version }), tell(), { do: 'close' }, finish('get')]
    };
    const events = ({ exchanges }: Transcript) => exchanges[1]!.body.split('\n\n').slice(0, -1);
    const told = { stock: 'id: get-1\n', ours: 'id: get-2\n' };
    shows(
      'for a client that understands it',
      script,
      { modes: 'external' },
      {
        stock: transcript => expect(events(transcript)).toEqual([expect.stringContaining(told.stock)]),
        ours: transcript =>
          expect(events(transcript)).toEqual(['id: get-1\ndata: ', expect.stringContaining(told.ours)])
      }
    );
  },
  29() {
    const value = { value: 1n };
    const script: Script = {
      steps: [
        initialize(),
        open(1),
        get({ until: 'open' }),
        { do: 'send', message: notification('notifications/odd', value) },
        { do: 'send', message: notification('notifications/odd', value), relatedRequestId: 1 },
        { do: 'send', message: notification('notifications/next'), relatedRequestId: 1 },
        { do: 'send', message: result(1, value) },
        finish('open'),
        { do: 'close' }
      ]
    };
    const outcomes = ({ sends }: Transcript) => sends['script: undefined']!.map(({ outcome }) => outcome);
    shows(
      'whatever the server sends',
      script,
      { modes: 'both' },
      {
        stock: transcript => {
          expect(transcript.exchanges[1]!.body).toContain('notifications/next');
          expect(transcript.exchanges[1]!.body).not.toContain('"id":1');
          expect(outcomes(transcript)[0]).toBe('sent');
        },
        ours: transcript => {
          expect(transcript.exchanges[1]!.body).toContain('notifications/next');
          expect(transcript.exchanges[1]!.body).toContain('"id":1,"error":{"code":-32603');
          expect(outcomes(transcript)[0]).toContain('BigInt');
        }
      }
    );
  },
  30() {
    const script: Script = { steps: [initialize(), get(), tell(), { do: 'close' }] };
    beforeAll(() => Object.assign(globalThis, { Bun: {} }));
    afterAll(() => Reflect.deleteProperty(globalThis, 'Bun'));
    shows(
      'by a comment that is ignored',
      script,
      { modes: 'both', adapter: 'web' },
      {
        stock: ({ exchanges }) => expect(exchanges[1]!.body).toMatch(/^event: message/),
        ours: ({ exchanges }) => expect(exchanges[1]!.body).toMatch(/^: open\n\nevent: message/)
      }
    );
    it('by default', () => expect(defaultSseKeepAliveMs()).toBe(8000));
  }
};

for (const { number, title } of allowedDifferences) {
  // Promise: F6
  describe(`${number}. ${title}`, () => demonstrations[number]!());
}

it('every allowed difference is demonstrated', () => {
  expect(Object.keys(demonstrations).map(Number)).toEqual(allowedDifferences.map(({ number }) => number));
});

/** `late`: the stock transport keeps a step waiting. */
type Where = { modes: 'both' | Subject['mode']; adapter?: Subject['adapter']; late?: boolean };
type Shown = Record<'stock' | 'ours', (transcript: Transcript) => void>;

function shows(title: string, script: Script, { modes, adapter, late = false }: Where, expectations: Shown): void {
  const shown = subjects.filter(
    subject => (modes === 'both' || subject.mode === modes) && (!adapter || subject.adapter === adapter)
  );
  it.each(shown)(`${title} ($name)`, async subject => {
    const stock = normalise(await play(script, oracles[subject.adapter], late ? 100 : undefined));
    expectations.stock(stock);
    if (!late) expect(stock.late).toEqual([]);
    const ours = normalise(await play(script, subject));
    expectations.ours(ours);
    expect(ours.late).toEqual([]);
  });
}

function open(id: number, as = 'open'): Step {
  return post(run(id), { as, until: 'open' });
}

function answer(id: number | string): Step {
  return { do: 'send', message: result(id) };
}

function cancel(requestId: number): Step {
  return post(notification('notifications/cancelled', { requestId }));
}

function tell(): Step {
  return { do: 'send', message: notification() };
}

function finish(exchange: string): Step {
  return { do: 'finish', exchange };
}

function said(id: number): string {
  return `event: message\ndata: {"jsonrpc":"2.0","id":${id},"result":{}}\n\n`;
}
