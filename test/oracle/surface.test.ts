import * as ourNode from 'mcp-sdk-anypod/server/streamableHttp.js';
import * as ourWeb from 'mcp-sdk-anypod/server/webStandardStreamableHttp.js';
import * as stockNode from 'mcp-sdk-upstream/server/streamableHttp.js';
import * as stockWeb from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import { oracles, type PlayedTransport, subjects } from './subjects.js';

describe('the modules', () => {
  it.each([
    ['streamableHttp', stockNode, ourNode],
    ['webStandardStreamableHttp', stockWeb, ourWeb]
  ])('%s export the same values', (_, stock, ours) => {
    expect(Object.keys(ours)).toEqual(Object.keys(stock));
  });
});

describe.each(subjects)('the class ($name)', subject => {
  const both = (options = {}): [PlayedTransport, PlayedTransport] => [
    oracles[subject.adapter].create(options),
    subject.create(options)
  ];

  it('has every public member of the stock class', () => {
    const [stock, ours] = both();
    const members = new Set([...Object.getOwnPropertyNames(Object.getPrototypeOf(stock)), ...Object.keys(stock)]);
    // `startKeepAlive` and the other helpers of the web-standard class are private in its types.
    const isPublic = (name: string): boolean => /^(handleRequest|start|close\w*|send|on\w+|sessionId)$/.test(name);
    for (const name of [...members].filter(isPublic)) expect(name in ours).toBe(true);
  });

  it('starts once', async () => {
    for (const transport of both()) {
      await transport.start();
      await expect(transport.start()).rejects.toThrow('Transport already started');
    }
  });

  it('closes once, and before it has started', async () => {
    for (const transport of both()) {
      let closes = 0;
      transport.onclose = () => closes++;
      await transport.close();
      await transport.close();
      expect(closes).toBe(1);
    }
  });

  it('accepts callbacks that are set to undefined again', async () => {
    for (const transport of both()) {
      transport.onclose = () => expect(true).toBe(false);
      expect(typeof transport.onclose).toBe('function');
      transport.onclose = undefined;
      expect([transport.onclose, transport.onerror, transport.onmessage]).toEqual([undefined, undefined, undefined]);
      await transport.close();
    }
  });

  it('has no session before one is opened', () => {
    for (const transport of both({ sessionIdGenerator: () => 'a' })) expect(transport.sessionId).toBeUndefined();
  });

  it.each([0, -1, NaN, Infinity, '1', null])('refuses maxRequestBodySize %p in the same words', value => {
    const messages = [oracles[subject.adapter], subject].map(each => {
      try {
        each.create({ maxRequestBodySize: value as never });
        return undefined;
      } catch (error) {
        return `${(error as Error).name}: ${(error as Error).message}`;
      }
    });
    expect(messages[0]).toMatch(/RangeError/);
    expect(messages[1]).toBe(messages[0]);
  });

  it.each([{ keepAliveMs: 'x' }, { retryInterval: -1 }, { allowedHosts: 'x' }, { enableJsonResponse: 'yes' }])(
    'accepts %p, which the stock class accepts',
    options => {
      expect(() => both(options)).not.toThrow();
    }
  );

  it('ignores a close of streams that do not exist', () => {
    for (const transport of both()) {
      transport.closeSSEStream(1);
      transport.closeStandaloneSSEStream();
    }
  });
});
