import { sameAsStock, type Case } from './compare.js';
import { del, get, handshake, notification, post, request, result, type Step } from './script.js';

const version = '2025-11-25';
const tool = (id: number | string, name: string, args: Record<string, unknown> = {}, _meta?: Record<string, unknown>) =>
  request(id, 'tools/call', _meta ? { name, arguments: args, _meta } : { name, arguments: args });
const call = (...args: Parameters<typeof tool>): Step =>
  post(tool(...args), { as: String(args[0]), until: 'open', version });

const modes: [string, NonNullable<Case['options']>][] = [
  ['streams', {}],
  ['streams that can be resumed', { eventStore: 'full' }],
  ['JSON', { enableJsonResponse: true }]
];

for (const [name, options] of modes) {
  const json = options.enableJsonResponse === true;
  describe(`an McpServer that answers in ${name}`, () => {
    const server = 'mcp';
    sameAsStock('lists and calls its features', {
      options,
      server,
      statuses: [200, 202, 200, 200, 200, 200, 200],
      steps: [
        ...handshake(),
        post(request(1, 'tools/list'), { version }),
        post(tool(2, 'echo', { value: 'x' }), { version }),
        post(request(3, 'resources/read', { uri: 'note://one' }), { version }),
        post(request(4, 'prompts/get', { name: 'greet' }), { version }),
        post(request(5, 'ping'), { version })
      ]
    });
    sameAsStock('refuses calls of features that it does not have', {
      options,
      server,
      statuses: [200, 202, 200, 200, 200, 200],
      steps: [
        ...handshake(),
        post(tool(1, 'unknown'), { version }),
        post(tool(2, 'echo', { value: 5 }), { version }),
        post(tool(3, 'fail'), { version }),
        post(request(4, 'no/such'), { version })
      ]
    });
    sameAsStock('answers a batch', {
      options,
      server,
      statuses: [200, 202, 200],
      steps: [
        ...handshake(),
        post([tool(1, 'echo', { value: 'a' }), request(2, 'ping'), request(3, 'no/such')], { version })
      ]
    });
    sameAsStock('reports progress', {
      options,
      server,
      statuses: [200, 202, 200],
      steps: [...handshake(), post(tool(1, 'progress', {}, { progressToken: 'p' }), { version })]
    });
    sameAsStock('logs to the standalone stream, at the level that was set', {
      options,
      server,
      statuses: [200, 202, 200, 200, 200, 200],
      steps: [
        ...handshake(),
        get(),
        post(tool(1, 'log'), { version }),
        post(request(2, 'logging/setLevel', { level: 'error' }), { version }),
        post(tool(3, 'log'), { version })
      ]
    });
    sameAsStock('announces that its list of tools has changed', {
      options,
      server,
      statuses: [200, 202, 200, 200, 200],
      steps: [
        ...handshake(),
        get(),
        post(tool(1, 'grow'), { version }),
        { do: 'read', exchange: 'get', events: 1 },
        post(request(2, 'tools/list'), { version })
      ]
    });
    sameAsStock('stops work that the client cancels', {
      options,
      server,
      statuses: [200, 202, json ? undefined : 200, 202, 202],
      steps: [
        ...handshake(),
        call(1, 'hang'),
        post(notification('notifications/cancelled', { requestId: 99 })),
        post(notification('notifications/cancelled', { requestId: 1, reason: 'enough' }))
      ]
    });
    sameAsStock('sees who asks', {
      options,
      server,
      statuses: [200, 202, 200],
      steps: [
        ...handshake(),
        post(tool(1, 'who'), { version, authInfo: { token: 't', clientId: 'c', scopes: ['a'] }, path: '/mcp?x=1' })
      ]
    });
    sameAsStock('ignores unexpected responses and notifications', {
      options,
      server,
      statuses: [200, 202, 202, 202, 202],
      steps: [
        ...handshake(),
        post(result(77)),
        post(notification('notifications/unknown')),
        post(notification('notifications/progress', { progressToken: 1, progress: 1 }))
      ]
    });
    sameAsStock('can be closed with requests in flight', {
      options,
      server,
      statuses: [200, 202, json ? undefined : 200, 200],
      steps: [...handshake(), call(1, 'hang'), del()]
    });
    if (json) return;
    sameAsStock('asks its client while it works', {
      options,
      server,
      statuses: [200, 202, 200, 202],
      steps: [
        ...handshake(),
        call(1, 'ask'),
        { do: 'read', exchange: '1', events: options.eventStore ? 2 : 1 },
        post(result(0, { role: 'assistant', content: { type: 'text', text: 'an answer' }, model: 'm' })),
        { do: 'finish', exchange: '1' }
      ]
    });
    sameAsStock('is refused by its client while it works', {
      options,
      server,
      statuses: [200, 202, 200, 202],
      steps: [
        ...handshake(),
        call(1, 'ask'),
        { do: 'read', exchange: '1', events: options.eventStore ? 2 : 1 },
        post({ jsonrpc: '2.0', id: 0, error: { code: -1, message: 'no' } }),
        { do: 'finish', exchange: '1' }
      ]
    });
    sameAsStock('loses a client while it works', {
      // The client that leaves has not read the id that names the pod (difference 13), so nobody can answer to it.
      mode: 'memory',
      options,
      server,
      statuses: [200, 202, 200, 202],
      steps: [
        ...handshake(),
        call(1, 'ask'),
        { do: 'abort', exchange: '1' },
        post(result(0, { role: 'assistant', content: { type: 'text', text: 'an answer' }, model: 'm' }))
      ]
    });
  });
}

describe('a Server without capabilities', () => {
  sameAsStock('answers the handshake and refuses the rest', {
    server: 'lowLevel',
    statuses: [200, 202, 200, 200],
    steps: [...handshake('1999-01-01'), post(request(1, 'tools/list')), post(request(2, 'ping'))]
  });
});
