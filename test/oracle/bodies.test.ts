import { sameAsStock } from './compare.js';
import {
  handshake,
  initialize,
  initializeMessage,
  notification,
  post,
  rawPost,
  request,
  result,
  run,
  type Step
} from './script.js';

const init = JSON.stringify(initializeMessage());
const opening = (body: Parameters<typeof rawPost>[0]): Step => rawPost(body, { session: null });
const bytes = (...parts: (string | number[])[]): Uint8Array =>
  Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

describe('a body', () => {
  const broken = ['', ' ', '{', '{"jsonrpc":"2.0",}', 'undefined', 'NaN', "{'a':1}", '[1,]', '\u0000', '{} {}', '"\n"'];
  sameAsStock('must be JSON', {
    statuses: broken.map(() => 400),
    steps: broken.map(opening)
  });
  const strange = [
    'null',
    'true',
    '1',
    '"text"',
    '{}',
    '{"jsonrpc":"1.0","method":"a"}',
    '{"jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","id":1}',
    '{"jsonrpc":"2.0","id":null,"method":"a"}',
    '{"jsonrpc":"2.0","id":1.5,"method":"a"}',
    '{"jsonrpc":"2.0","id":{},"method":"a"}',
    '{"jsonrpc":"2.0","id":1,"method":5}',
    '{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}',
    '{"jsonrpc":"2.0","id":1,"method":"a","params":null}',
    '{"jsonrpc":"2.0","id":1,"method":"a","extra":1}',
    '{"jsonrpc":"2.0","id":1,"result":"text"}',
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"a"}}',
    '{"jsonrpc":"2.0","id":1,"error":{"code":"a","message":"a"}}',
    '[null]',
    '[[]]',
    '[{"jsonrpc":"2.0","method":"a"},{}]'
  ];
  sameAsStock('must hold JSON-RPC messages', {
    statuses: [200, 202, ...strange.map(() => 400)],
    steps: [...handshake(), ...strange.map(body => rawPost(body))]
  });
  sameAsStock('may hold whatever the schema accepts', {
    statuses: [200, 202, 202, 202, 202, 202, 202, 200, 200, 202],
    steps: [
      ...handshake(),
      rawPost('[]'),
      post(result(5)),
      post(result(5, { deep: { a: [1] } })),
      rawPost('{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"a","data":[1]}}'),
      rawPost('{"jsonrpc":"2.0","error":{"code":-1,"message":"a"}}'),
      post(request('', 'test/run', { acts: ['answer'] })),
      rawPost('{"jsonrpc":"2.0","id":-1,"method":"test/run","params":{"acts":["answer"],"__proto__":{"a":1}}}'),
      rawPost('{"jsonrpc":"2.0","method":"a","params":{"_meta":{"progressToken":1},"x":null}}')
    ]
  });
  sameAsStock('may begin with one byte order mark', {
    statuses: [200, 400],
    steps: [opening(bytes([0xef, 0xbb, 0xbf], init)), opening(bytes([0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], init))]
  });
  const utf8: [string, number[]][] = [
    ['a lone continuation', [0x80]],
    ['an overlong form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a cut sequence', [0xe2, 0x82]],
    ['more than Unicode', [0xf4, 0x90, 0x80, 0x80]],
    ['bytes that never occur', [0xff, 0xfe, 0xf8]]
  ];
  for (const [name, sequence] of utf8) {
    sameAsStock(`may hold invalid UTF-8: ${name}`, {
      statuses: [200, 202, 200],
      steps: [
        ...handshake(),
        rawPost(bytes('{"jsonrpc":"2.0","id":"', sequence, '","method":"test/run","params":{"acts":["answer"]}}'))
      ]
    });
  }
  sameAsStock('in UTF-16 is not JSON', { statuses: [400], steps: [opening(Buffer.from(init, 'utf16le'))] });
  sameAsStock('may come in chunks that cut characters', {
    statuses: [200],
    steps: [opening([init.slice(0, 5), init.slice(5, 6), init.slice(6)])]
  });
  sameAsStock('keeps large numbers, escapes and deep values as JSON.parse gives them', {
    statuses: [200, 202, 202],
    steps: [
      ...handshake(),
      rawPost('{"jsonrpc":"2.0","method":"a","params":{"n":12345678901234567890,"e":1e400,"s":"\\ud800\\u0000é"}}')
    ]
  });
});

describe('the size of a body', () => {
  const padded = (size: number): string => init + ' '.repeat(size - init.length);
  const options = { maxRequestBodySize: 1000 };
  sameAsStock('is refused if its declared length is over the limit', {
    options,
    statuses: [413, 200],
    steps: [opening(padded(1001)), opening(padded(1000))]
  });
  sameAsStock('is refused if more than the limit is streamed', {
    options,
    statuses: [413, 200],
    steps: [opening([padded(700), ' '.repeat(301)]), opening([padded(700), ' '.repeat(300)])]
  });
  sameAsStock('is checked before the body has arrived', {
    options,
    statuses: [413],
    steps: [
      rawPost(['{'], { session: null, as: 'long', until: 'open', unfinished: true, headers: withLength('5000') }),
      { do: 'abort', exchange: 'long' }
    ]
  });
  sameAsStock('counts bytes, not characters', {
    options,
    statuses: [413],
    steps: [opening(`${init}${'é'.repeat(450)}`)]
  });
  sameAsStock('may be at most 4 MiB by default', {
    statuses: [413, 413, 200],
    steps: [
      opening(padded(4 * 1024 * 1024 + 1)),
      opening([padded(4 * 1024 * 1024), ' ']),
      opening(padded(4 * 1024 * 1024))
    ]
  });
  sameAsStock('may be limited to a fraction of a byte', {
    options: { maxRequestBodySize: 0.5 },
    statuses: [413, 400],
    steps: [opening(' '), opening('')]
  });
  sameAsStock('is checked after the headers and before the session', {
    options,
    statuses: [406, 415, 413],
    steps: [
      rawPost(padded(2000), { headers: [] }),
      rawPost(padded(2000), { headers: [['accept', 'application/json, text/event-stream']] }),
      rawPost(padded(2000), { session: 'other' })
    ]
  });
  sameAsStock('is not checked if a body parser has read the body', {
    options: { maxRequestBodySize: 10 },
    statuses: [200],
    steps: [rawPost('{}', { session: null, parsedBody: initializeMessage() })]
  });
  sameAsStock('that is declared wrongly does not change the body', {
    adapter: 'web',
    options,
    statuses: [413, 200, 200],
    steps: [
      rawPost(init, { session: null, headers: withLength('5000') }),
      rawPost(init, { session: null, headers: withLength('1') }),
      post(run(1, 'answer'), { headers: withLength('many') })
    ]
  });
});

function withLength(length: string): [string, string][] {
  return [
    ['content-type', 'application/json'],
    ['accept', 'application/json, text/event-stream'],
    ['content-length', length]
  ];
}

describe('a parsed body', () => {
  for (const parsedBody of [null, 5, 'text', {}, [], [initializeMessage()], Buffer.from('{}')]) {
    sameAsStock(`may be anything: ${JSON.stringify(parsedBody).slice(0, 40)}`, {
      statuses: [Array.isArray(parsedBody) ? (parsedBody.length > 0 ? 200 : 400) : 400],
      steps: [rawPost('{}', { session: null, parsedBody })]
    });
  }
  sameAsStock('still requires the headers', {
    statuses: [406, 415],
    steps: [
      rawPost('{}', { session: null, parsedBody: initializeMessage(), headers: [] }),
      rawPost('{}', {
        session: null,
        parsedBody: initializeMessage(),
        headers: [['accept', 'application/json, text/event-stream']]
      })
    ]
  });
  sameAsStock('is used instead of the body', {
    statuses: [200],
    steps: [rawPost('not JSON', { session: null, parsedBody: initializeMessage() })]
  });
  sameAsStock('may be set on the request by a serverless host', {
    adapter: 'node',
    options: { maxRequestBodySize: 1000 },
    statuses: [200, 400, 413],
    steps: [
      rawPost('', { session: null, rawBody: init }),
      rawPost('', { session: null, rawBody: '{' }),
      rawPost('', { session: null, rawBody: ' '.repeat(1001) })
    ]
  });
});

describe('a batch', () => {
  const many = (count: number) => Array.from({ length: count }, () => notification());
  sameAsStock('has at most 100 messages', {
    statuses: [200, 202, 202, 400, 400],
    steps: [...handshake(), post(many(100)), post(many(101)), post(Array.from({ length: 101 }, () => 'rubbish'))]
  });
  sameAsStock('of 100 requests is answered in one stream', {
    statuses: [200, 202, 200],
    steps: [...handshake(), post(Array.from({ length: 100 }, (_, id) => run(id, 'answer')))]
  });
  sameAsStock('is checked before the session', { statuses: [400], steps: [post(many(101), { session: null })] });
  sameAsStock('may hold one initialize, alone', {
    statuses: [400, 400, 200],
    steps: [
      post([initializeMessage(), notification()], { session: null }),
      post([initializeMessage(), initializeMessage(undefined, 2)], { session: null }),
      post([initializeMessage()], { session: null })
    ]
  });
  sameAsStock('without sessions may hold one initialize, alone', {
    options: { sessions: 'none' },
    statuses: [400],
    steps: [post([initializeMessage(), run(1, 'answer')], { session: null })]
  });
  sameAsStock('may mix requests, notifications and responses', {
    statuses: [200, 202, 200],
    steps: [
      ...handshake(),
      post([notification('a'), run(1, 'notify', 'answer'), result(9), run(2, 'take a turn', 'fail'), notification('b')])
    ]
  });
  sameAsStock('is answered in the order in which the server answers', {
    statuses: [200, 202, 200],
    steps: [
      ...handshake(),
      post([run(1, 'take a turn', 'take a turn', 'answer'), run('2', 'take a turn', 'answer'), run(3, 'answer')])
    ]
  });
  sameAsStock('of one request is answered as that request', {
    statuses: [200, 202, 200],
    steps: [...handshake(), post([run(1, 'answer')])]
  });
  sameAsStock('may use a number and its text as two ids', {
    statuses: [200, 202, 200],
    steps: [...handshake(), post([run(1, 'take a turn', 'answer'), run('1', 'answer')])]
  });
});

describe('a body that does not come to its end', () => {
  sameAsStock('is a parse error', {
    // Version 2 reports the error of the reader.
    sdk: 1,
    statuses: [undefined, 200],
    shows: stock => expect(stock.callbacks.flat()).toContainEqual({ onerror: 'Parse error: Invalid JSON' }),
    steps: [
      rawPost([init.slice(0, 20)], { session: null, as: 'cut', until: 'sent', unfinished: true }),
      { do: 'abort', exchange: 'cut' },
      { do: 'finish', exchange: 'cut' },
      initialize()
    ]
  });
  sameAsStock('may be answered before it is read', {
    adapter: 'node',
    statuses: [405],
    steps: [
      {
        do: 'exchange',
        as: 'put',
        until: 'open',
        request: { method: 'PUT', headers: [], body: ['some'], unfinished: true }
      },
      { do: 'abort', exchange: 'put' }
    ]
  });
});
