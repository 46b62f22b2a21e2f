import { sameAsStock } from './compare.js';
import { bare, del, get, handshake, initialize, initializeMessage, jsonHeaders, post, rawPost, run } from './script.js';
import type { Step } from './script.js';

const message = initializeMessage();
const withHeaders = (...headers: [string, string][]): Step => post(message, { session: null, headers });
const json: [string, string] = ['content-type', 'application/json'];
const both: [string, string] = ['accept', 'application/json, text/event-stream'];

describe('DNS rebinding protection', () => {
  const options = {
    enableDnsRebindingProtection: true,
    allowedHosts: ['mcp.test:8080'],
    allowedOrigins: ['http://good.test']
  };
  sameAsStock('accepts the right host with the right origin or none', {
    options,
    statuses: [200, 200],
    steps: [initialize(), post(run(1, 'answer'), { headers: [...jsonHeaders, ['origin', 'http://good.test']] })]
  });
  sameAsStock('is checked before anything else', {
    options,
    statuses: [403, 403, 403, 403],
    steps: [
      bare('PUT', [['host', 'evil.test']]),
      bare('POST', [['origin', 'http://evil.test']]),
      bare('GET', [
        ['host', 'evil.test'],
        ['origin', 'http://evil.test']
      ]),
      bare('DELETE', [['origin', 'null']])
    ]
  });
  sameAsStock('compares host and origin literally', {
    options,
    statuses: [403, 403, 403],
    steps: [
      withHeaders(json, both, ['host', 'MCP.test:8080']),
      withHeaders(json, both, ['host', 'mcp.test']),
      withHeaders(json, both, ['origin', 'http://good.test/'])
    ]
  });
  sameAsStock('does nothing unless it is turned on', {
    options: { ...options, enableDnsRebindingProtection: false },
    statuses: [200],
    steps: [withHeaders(json, both, ['host', 'evil.test'], ['origin', 'http://evil.test'])]
  });
  sameAsStock('treats an empty list as no list', {
    options: { enableDnsRebindingProtection: true, allowedHosts: [], allowedOrigins: [] },
    statuses: [200],
    steps: [withHeaders(json, both, ['origin', 'http://evil.test'])]
  });
  sameAsStock('joins repeated hosts and origins', {
    options,
    statuses: [403, 403, 403, 403, 403],
    steps: [
      bare('GET', [
        ['host', 'mcp.test:8080'],
        ['host', 'mcp.test:8080']
      ]),
      ...['http://good.test', '', '\u00a0', 'x'].map(again =>
        bare('GET', [
          ['origin', 'http://good.test'],
          ['origin', again]
        ])
      )
    ]
  });
});

describe('methods', () => {
  sameAsStock('other than GET, POST and DELETE are not allowed', {
    statuses: [405, 405, 405, 405, 405, 405],
    steps: [
      bare('PUT'),
      bare('PATCH'),
      bare('OPTIONS'),
      bare('HEAD'),
      { do: 'exchange', request: { method: 'PUT', headers: jsonHeaders, body: JSON.stringify(message) } },
      bare('PROPFIND')
    ]
  });
  sameAsStock('are refused in an open session too', {
    statuses: [200, 202, 405],
    steps: [...handshake(), bare('PUT')]
  });
  sameAsStock('may be TRACE on Node', { adapter: 'node', statuses: [405], steps: [bare('TRACE')] });
  sameAsStock('with a body that is not read leave the connection clean', {
    statuses: [405, 406],
    steps: [
      { do: 'exchange', request: { method: 'PUT', headers: [], body: 'x'.repeat(1_000_000) } },
      { do: 'exchange', request: { method: 'POST', headers: [], body: 'x'.repeat(1_000_000) } }
    ]
  });
});

describe('Accept', () => {
  sameAsStock('must list both types on POST', {
    statuses: [406, 406, 406, 406, 406, 406],
    steps: [
      withHeaders(json),
      withHeaders(json, ['accept', 'application/json']),
      withHeaders(json, ['accept', 'text/event-stream']),
      withHeaders(json, ['accept', '*/*']),
      withHeaders(json, ['accept', '']),
      withHeaders(json, ['accept', 'APPLICATION/JSON, TEXT/EVENT-STREAM'])
    ]
  });
  sameAsStock('may list them in any form', {
    statuses: [200],
    steps: [
      withHeaders(
        json,
        ['accept', 'text/html;q=0.1'],
        ['accept', 'text/event-stream;q=0'],
        ['Accept', 'x/application/json+y']
      )
    ]
  });
  sameAsStock('must list text/event-stream on GET', {
    statuses: [200, 406, 406, 406],
    steps: [
      initialize(),
      bare('GET'),
      bare('GET', [['accept', 'application/json']]),
      bare('GET', [
        ['accept', '*/*'],
        ['mcp-session-id', 'session-1']
      ])
    ]
  });
  sameAsStock('is not checked on DELETE', { statuses: [200, 200], steps: [initialize(), del()] });
});

describe('Content-Type', () => {
  const refused = [
    'text/plain',
    'text/plain; a=application/json',
    'application/jsonp',
    'application/json-rpc',
    'application/vnd.api+json',
    'application/json, application/json',
    'application/json; charset=utf-8, text/plain',
    'application/json; charset=, text/plain',
    ';application/json',
    '',
    'application/ json',
    'multipart/form-data; boundary=application/json'
  ];
  sameAsStock('is parsed, not searched', {
    statuses: refused.map(() => 415),
    steps: refused.map(value => withHeaders(both, ['content-type', value]))
  });
  const accepted = [
    'application/json',
    'Application/JSON',
    'application/json;charset=utf-8',
    'application/json ; charset="utf-8"',
    'application/json;',
    'application/json; charset=',
    'application/json; charset',
    '  application/json  ',
    '\u00a0application/json',
    'application/json\u00a0',
    'application/json; a=b; a=c'
  ];
  for (const value of accepted) {
    sameAsStock(`may be '${value}'`, { statuses: [200], steps: [withHeaders(both, ['content-type', value])] });
  }
  sameAsStock('must be there', { statuses: [415], steps: [withHeaders(both)] });
  sameAsStock('must not be repeated', {
    statuses: [415, 415, 415],
    steps: [
      withHeaders(both, json, json),
      withHeaders(both, json, ['Content-Type', 'text/plain']),
      withHeaders(both, ['content-type', 'application/json; charset=utf-8'], json)
    ]
  });
  sameAsStock('is checked after Accept', { statuses: [406], steps: [withHeaders(['content-type', 'text/plain'])] });
});

describe('Mcp-Protocol-Version', () => {
  const versions = ['1999-01-01', 'latest', '', '2025-06-18, 2025-06-18', ' 2025-06-18 x', '2026-01-01'];
  sameAsStock('must be one that is supported', {
    statuses: [200, ...versions.map(() => 400), ...versions.map(() => 400), ...versions.map(() => 400)],
    steps: [
      initialize(),
      ...versions.map(version => post(run(1, 'answer'), { version })),
      ...versions.map(version => get({ version })),
      ...versions.map(version => del({ version }))
    ]
  });
  for (const version of ['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
    sameAsStock(`may be ${version}`, {
      statuses: [200, 200, 200, 200],
      steps: [initialize(), post(run(1, 'answer'), { version }), get({ version }), del({ version })]
    });
  }
  sameAsStock('is checked after the session', {
    statuses: [400, 200, 404, 400],
    steps: [
      post(run(1, 'answer'), { session: null, version: 'latest' }),
      initialize(),
      post(run(1, 'answer'), { session: 'other', version: 'latest' }),
      post(run(1, 'answer'), { session: null, version: 'latest' })
    ]
  });
  sameAsStock('is not checked on initialize', {
    statuses: [200],
    steps: [post(message, { session: null, version: 'latest' })]
  });
  sameAsStock('is also checked without sessions', {
    options: { sessions: 'none' },
    statuses: [400],
    steps: [post(run(1, 'answer'), { session: null, version: 'latest' })]
  });
});

describe('host and target on Node', () => {
  const target = (path: string, host?: string): Step =>
    post(message, {
      session: null,
      path,
      headers: host === undefined ? jsonHeaders : [...jsonHeaders, ['host', host]]
    });
  const good: [string, string?][] = [
    ['/'],
    ['/mcp?a=1&b=%20'],
    ['/a/../mcp/./x'],
    ['/mcp?back\\slash'],
    ['//evil.test/mcp'],
    ['/%zz'],
    ["/it's,(fine)"],
    ['/mcp#fragment'],
    ['http://other.test/mcp?x'],
    ['https://other.test/mcp'],
    ['http://other.test:80'],
    ['/mcp', 'MCP.TEST'],
    ['/mcp', 'localhost'],
    ['/mcp', '127.0.0.1:80'],
    ['/mcp', '[::1]:8080'],
    ['/mcp', 'mcp_test.example'],
    ['/mcp', 'mcp.test:1'],
    ['/mcp', 'mcp.test:65535'],
    ['/mcp?x', '127.1'],
    ['/mcp', '127.1'],
    ['/mcp', '0x7f.1:8080'],
    ['/mcp?x', 'mcp..test'],
    ['/mcp', 'mcp.test.']
  ];
  for (const [path, host] of good) {
    sameAsStock(`may be ${path} at ${host ?? 'the usual host'}`, {
      adapter: 'node',
      statuses: [200],
      steps: [target(path, host)]
    });
  }
  const bad: [string, string?][] = [
    ['/mcp\\x'],
    ['http://[::1/mcp'],
    ['HTTP://other.test/mcp'],
    ['*'],
    ['/mcp', ''],
    ['/mcp', 'mcp.test:99999'],
    ['/mcp', 'mcp.test:65536'],
    ['/mcp', 'mcp.test/evil'],
    ['/mcp', 'user@mcp.test'],
    ['/mcp', 'mcp.test, mcp.test'],
    ['/mcp', 'a b'],
    ['/mcp', '[::1'],
    ['/mcp', 'mcp.test?x'],
    ['/mcp', 'mcp.test#x'],
    ['/mcp', 'm%63p.test'],
    ['/mcp', '[0:0::1]']
  ];
  for (const [path, host] of bad) {
    sameAsStock(`must not be ${path} at ${host ?? 'the usual host'}`, {
      adapter: 'node',
      statuses: [400],
      steps: [target(path, host)]
    });
  }
});

sameAsStock('headers that a framework has set before are kept, and ours win', {
  adapter: 'node',
  options: { presetHeaders: { 'X-Powered-By': 'Express', 'cache-control': 'public', 'Content-Type': 'text/html' } },
  statuses: [200, 406, 202, 405],
  shows: stock => {
    expect(stock.exchanges[0]!.headers).toContainEqual(['X-Powered-By', 'Express']);
  },
  steps: [initialize(), bare('GET'), post([]), bare('PUT')]
});

sameAsStock('headers are sent in Latin-1 whatever the body is', {
  adapter: 'node',
  options: { presetHeaders: { 'x-name': 'é' } },
  statuses: [200, 200, 200, 404],
  steps: [
    initialize(),
    post(run('é', 'answer')),
    post(run('é', 'notify', 'take a turn', 'take a turn', 'take a turn', 'answer')),
    get({ session: 'é' })
  ]
});

sameAsStock('the server sees headers, URL and authentication of the exchange', {
  statuses: [200, 200, 202],
  steps: [
    initialize({
      path: '/deep/mcp?tenant=1',
      headers: [...jsonHeaders, ['x-one', 'a'], ['X-One', 'b'], ['cookie', 'a=1'], ['cookie', 'b=2'], ['x-latin', 'é']]
    }),
    post(run(1, 'answer'), {
      authInfo: { token: 't', clientId: 'c', scopes: ['s'], extra: { deep: [1] } },
      version: '2025-11-25'
    }),
    rawPost('[]', { authInfo: { token: 't', clientId: 'c', scopes: [] } })
  ]
});
