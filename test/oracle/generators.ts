import fc from 'fast-check';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import {
  type Act,
  type HttpRequest,
  initialize,
  initializeMessage,
  jsonHeaders,
  notification,
  request,
  result,
  run,
  type Script,
  type ScriptOptions,
  type Step
} from './script.js';

/** Scripts of exchanges, right ones and broken ones, and of what a server does meanwhile. */
export function scripts(adapter: 'node' | 'web'): fc.Arbitrary<Script> {
  return options.chain(chosen => {
    const steps = fc.array(step(adapter, chosen), { minLength: 1, maxLength: 8 });
    const opened = fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) });
    return fc.tuple(steps, opened).map(([drawn, isOpened]) => {
      if (chosen.sessions === 'none') return { options: chosen, steps: playable(drawn, chosen) };
      // Difference 3: what is stored before there is a session has no scope.
      const withSession = isOpened ? [initialize(), ...drawn] : drawn.filter(each => each.do !== 'send');
      return { options: chosen, steps: playable(withSession, chosen) };
    });
  });
}

const options: fc.Arbitrary<ScriptOptions> = fc.record(
  {
    sessions: rarely<NonNullable<ScriptOptions['sessions']>>('counted', fc.constant('none')),
    enableJsonResponse: fc.boolean(),
    eventStore: fc.constantFrom('full' as const, 'minimal' as const),
    retryInterval: fc.constantFrom(0, 500),
    maxRequestBodySize: rarely(100_000, fc.constantFrom(100, 200)),
    enableDnsRebindingProtection: fc.boolean(),
    allowedHosts: fc.constantFrom(['mcp.test:8080'], ['other.test', 'mcp.test:8080'], []),
    allowedOrigins: fc.constantFrom(['http://good.test'], []),
    onsessioninitialized: rarely('takes a turn' as const, fc.constant('throws' as const)),
    onsessionclosed: fc.constantFrom('throws' as const, 'takes a turn' as const)
  },
  { requiredKeys: [] }
);

function step(adapter: 'node' | 'web', chosen: ScriptOptions): fc.Arbitrary<Step> {
  return fc.oneof(
    { weight: 10, arbitrary: exchange(adapter, chosen) },
    { weight: 3, arbitrary: goodPost(chosen) },
    { weight: 3, arbitrary: stream(chosen) },
    { weight: 4, arbitrary: serverStep },
    { weight: 2, arbitrary: fc.constant<Step>({ do: 'abort', exchange: 'last' }) }
  );
}

/** Usually the value, sometimes one of the others: most of a broken exchange is right, so that the rest is looked at. */
function rarely<T>(usual: T, others: fc.Arbitrary<T>, weight = 6): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others });
}

const ids = fc.oneof(fc.integer({ min: -2, max: 6 }), fc.constantFrom('1', '', 'x', '__proto__', 'a:b'));
const quietActs = fc.constantFrom<Act>('notify', 'broadcast', 'ask', 'take a turn', 'wait for sends');
const loudActs = fc.constantFrom<Act>('leave', 'leave standalone', 'throw');
const ends = fc.constantFrom<Act[]>(['answer'], ['answer'], ['answer'], ['fail'], ['answer', 'answer'], []);

function callsWith(loud: fc.Arbitrary<Act>): fc.Arbitrary<JSONRPCMessage> {
  const act = fc.oneof({ weight: 8, arbitrary: quietActs }, { weight: 1, arbitrary: loud });
  return fc.tuple(ids, fc.array(act, { maxLength: 4 }), ends).map(([id, acts, end]) => run(id, ...acts, ...end));
}

function messagesWith(call: fc.Arbitrary<JSONRPCMessage>): fc.Arbitrary<JSONRPCMessage> {
  const names = fc.constantFrom('notifications/initialized', 'a', 'initialize');
  return fc.oneof(
    { weight: 6, arbitrary: call },
    { weight: 2, arbitrary: names.map(name => notification(name)) },
    { weight: 1, arbitrary: ids.map(id => result(id)) },
    { weight: 1, arbitrary: ids.map(id => request(id, 'other')) },
    { weight: 1, arbitrary: fc.constantFrom('2025-11-25', '2025-03-26', '', 'x').map(each => initializeMessage(each)) }
  );
}

const message = messagesWith(callsWith(fc.oneof(loudActs, fc.constant<Act>('close'))));
// Not closed half way: the stock transport forgets which requests of a batch have been answered when it closes.
const batch = fc.uniqueArray(messagesWith(callsWith(loudActs)), {
  maxLength: 5,
  selector: each => JSON.stringify('id' in each ? each.id : each)
});

const brokenJson = fc.oneof(
  fc.json(),
  fc.string({ maxLength: 40 }),
  fc.tuple(message, fc.nat(80)).map(([each, at]) => JSON.stringify(each).slice(0, at)),
  fc
    .tuple(
      message,
      fc.constantFrom('jsonrpc', 'id', 'method', 'params', 'result', 'extra'),
      fc.jsonValue({ maxDepth: 1 })
    )
    .map(([each, key, value]) => JSON.stringify({ ...each, [key]: value })),
  fc.tuple(batch, fc.jsonValue({ maxDepth: 1 })).map(([messages, odd]) => JSON.stringify([...messages, odd])),
  fc.nat(110).map(count => JSON.stringify(Array.from({ length: count }, () => notification()))),
  fc.nat(300).map(count => ' '.repeat(count))
);
const bytes = fc.tuple(message, fc.uint8Array({ minLength: 1, maxLength: 4 }), fc.nat(60)).map(([each, odd, at]) => {
  const text = Buffer.from(JSON.stringify(each));
  return Buffer.concat([text.subarray(0, at), odd, text.subarray(at)]);
});
const chunked = fc.tuple(message, fc.nat(40)).map(([each, at]) => {
  const text = JSON.stringify(each);
  return [text.slice(0, at), text.slice(at)].filter(chunk => chunk !== '');
});
const body: fc.Arbitrary<HttpRequest['body']> = fc.oneof(
  { weight: 6, arbitrary: message.map(each => JSON.stringify(each)) },
  { weight: 3, arbitrary: batch.map(each => JSON.stringify(each)) },
  { weight: 4, arbitrary: brokenJson },
  { weight: 1, arbitrary: bytes },
  { weight: 1, arbitrary: chunked },
  { weight: 1, arbitrary: fc.constant(undefined) }
);

/** What HTTP lets pass in a header's value, and what is trimmed from it. */
const text = fc.string({
  unit: fc.constantFrom(...'abcXYZ019/;,=+*"-_. \t'.split(''), 'é', 'json', 'application/json', 'text/event-stream'),
  maxLength: 8
});
const accepts = rarely(
  'application/json, text/event-stream',
  fc.oneof(text, fc.constantFrom('application/json', 'text/event-stream', '*/*', '<none>'))
);
const contentTypes = rarely(
  'application/json',
  fc.oneof(
    text,
    fc.constantFrom(
      '<none>',
      'text/plain',
      'application/json; charset=utf-8',
      'APPLICATION/JSON;',
      'application/jsonx'
    ),
    text.map(tail => `application/json;${tail}`)
  )
);
const sessions = rarely(
  'session-1',
  fc.oneof(text, fc.constantFrom('<none>', 'session-2', 'Session-1', 'x'.repeat(257)))
);
const versions = rarely(
  '<none>',
  fc.oneof(text, fc.constantFrom('2025-11-25', '2025-11-25', '2025-06-18', '2024-10-07', '2099-01-01')),
  2
);
const cursors = rarely('<none>', fc.oneof(text, fc.constantFrom('s1-1', 's1-2', 's2-1', 's2-2', 'get-1', 's9-9')), 2);
const origins = rarely('<none>', fc.constantFrom('http://good.test', 'http://evil.test', 'null', ''), 3);
const hosts = rarely(
  'mcp.test:8080',
  fc.constantFrom('other.test', 'MCP.test:8080', 'mcp.test', 'evil.test', '[::1]', 'a b')
);
const paths = rarely('/mcp', fc.constantFrom('/', '/mcp?a=b', '/a/../b', '/%zz', '//x', '/a\\b', '/mcp?\\'), 9);
const methods = rarely('POST', fc.constantFrom('GET', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS'), 3);

const headerList = fc
  .tuple(
    fc.tuple(contentTypes, accepts, sessions, versions, cursors, origins, hosts),
    // A header twice, or in other letters.
    fc.option(
      fc.constantFrom('Content-Type', 'ACCEPT', 'mcp-session-id', 'mcp-protocol-version', 'x-other', 'origin'),
      {
        freq: 6
      }
    )
  )
  .map(([values, again]) => {
    const names = [
      'content-type',
      'accept',
      'mcp-session-id',
      'mcp-protocol-version',
      'last-event-id',
      'origin',
      'host'
    ];
    const headers = names.map((name, i): [string, string] => [name, values[i]!]);
    const repeated = headers.find(([name]) => name === again?.toLowerCase())?.[1] ?? 'x';
    // The stock transport trims a list that ends with nothing, or does not, as it has or has not read the body.
    if (again && repeated.trim() !== '') headers.push([again, repeated]);
    return headers.filter(([, value]) => value !== '<none>');
  });

function exchange(adapter: 'node' | 'web', chosen: ScriptOptions): fc.Arbitrary<Step> {
  const parsed = fc.oneof<fc.Arbitrary<unknown>[]>(message, batch, fc.jsonValue({ maxDepth: 2 }));
  return fc
    .record({
      method: methods,
      path: adapter === 'node' ? paths : fc.constantFrom('/mcp', '/mcp?a=b'),
      headers: headerList,
      body,
      parsedBody: fc.option(parsed, { nil: undefined, freq: 8 }),
      authInfo: fc.option(fc.constant({ token: 't', clientId: 'c', scopes: ['s'] }), { nil: undefined, freq: 9 })
    })
    .map(drawn => ({ do: 'exchange', as: 'last', until: 'open', request: fitting(drawn as HttpRequest, chosen) }));
}

/** Node's server sends `Host` and framing of its own accord where a request is not to be refused by its parser. */
function fitting(drawn: HttpRequest, { sessions }: ScriptOptions): HttpRequest {
  const { method } = drawn;
  const bodiless = method === 'GET' || method === 'HEAD' || method === 'DELETE' || method === 'OPTIONS';
  const fitted = bodiless ? { ...drawn, body: undefined, parsedBody: undefined } : drawn;
  // Without sessions there is one principal at most; with them, whose session it is does not change.
  return sessions === 'none' ? fitted : { ...fitted, authInfo: undefined };
}

function goodPost({ sessions }: ScriptOptions): fc.Arbitrary<Step> {
  const content = fc.oneof(message, batch);
  return fc.tuple(content, fc.constantFrom('2025-11-25', '2025-06-18', undefined)).map(([payload, version]) => {
    const headers = [...jsonHeaders];
    if (sessions !== 'none') headers.push(['mcp-session-id', 'session-1']);
    if (version) headers.push(['mcp-protocol-version', version]);
    const body = JSON.stringify(payload);
    return { do: 'exchange', as: 'last', until: 'open', request: { method: 'POST', headers, body } };
  });
}

function stream({ sessions }: ScriptOptions): fc.Arbitrary<Step> {
  const likely = fc.constantFrom('<none>', 's1-1', 's1-2', 's2-1', 's2-2', 's3-1', 'get-1', 'get-2');
  return likely.map(cursor => {
    const headers: [string, string][] = [['accept', 'text/event-stream']];
    if (sessions !== 'none') headers.push(['mcp-session-id', 'session-1']);
    if (cursor !== '<none>') headers.push(['last-event-id', cursor]);
    return { do: 'exchange', as: 'last', until: 'open', request: { method: 'GET', headers } };
  });
}

const serverStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: ids.map((id): Step => ({ do: 'send', message: result(id, { late: true }) })) },
  {
    weight: 3,
    arbitrary: fc
      .option(ids, { nil: undefined })
      .map((id): Step => ({ do: 'send', message: notification('b'), relatedRequestId: id }))
  },
  { weight: 2, arbitrary: ids.map((requestId): Step => ({ do: 'closeStream', requestId })) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'closeStandaloneStream' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'close' }) }
);

/** Takes out what has a test of its own because it is answered differently on purpose. */
function playable(steps: Step[], { enableJsonResponse }: ScriptOptions): Step[] {
  const used = new Set<string>();
  const named = new Set<string>();
  return steps.filter(each => {
    if (each.do === 'abort' && !named.has(each.exchange)) return false;
    // Difference 2: in JSON mode there is no stream to close, and what waits may have been answered with 404.
    if ((each.do === 'closeStream' || each.do === 'abort') && enableJsonResponse) return false;
    if (each.do !== 'exchange') return true;
    const content = contentOf(each.request);
    if (enableJsonResponse && /"close".*"throw"/.test(JSON.stringify(content) ?? '')) return false;
    // Difference 1: a request's id is used once in a script.
    const taken = idsIn(content);
    if (taken.some(id => used.has(id)) || new Set(taken).size < taken.length) return false;
    taken.forEach(id => used.add(id));
    named.add(each.as ?? '');
    return true;
  });
}

function contentOf({ body, parsedBody }: HttpRequest): unknown {
  if (parsedBody !== undefined) return parsedBody;
  try {
    const whole = Array.isArray(body) ? body.join('') : body;
    return JSON.parse(typeof whole === 'string' ? whole : Buffer.from(whole ?? '').toString()) as unknown;
  } catch {
    return undefined;
  }
}

function idsIn(content: unknown): string[] {
  return [content].flat().flatMap(each => {
    if (typeof each !== 'object' || each === null || !('id' in each) || !('method' in each)) return [];
    return [JSON.stringify(each.id)];
  });
}
