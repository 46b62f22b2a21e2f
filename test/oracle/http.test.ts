import fc from 'fast-check';
import * as stockMediaType from 'mcp-sdk-upstream/shared/mediaType.js';
import * as stockBody from 'mcp-sdk-upstream/server/requestBody.js';
import * as stockKeepAlive from 'mcp-sdk-upstream/server/sseKeepAlive.js';
import * as ourMediaType from '../../src/engine/http/mediaType.js';
import { readRequestBody } from '../../src/adapters/webExchange.js';
import * as ourLimits from '../../src/engine/http/requestLimits.js';
import * as ourKeepAlive from '../../src/engine/streams/sseKeepAlive.js';
import { useGlobalTimers } from '../support/useGlobalTimers.js';

/** The SDK has both in one module. */
const ourBody = { ...ourLimits, readRequestBody };

describe('a content type is JSON if it is JSON for the SDK', () => {
  const { isJsonContentType: ours } = ourMediaType;
  const { isJsonContentType: stock } = stockMediaType;
  const json = ['application/json', 'Application/JSON', 'application/json '];
  const seams = [';', '; ', ',', ', ', '=', ' = ', ' ', '\t', '\v', '\u00a0', '"', '"', '\\', '\\"'];
  const words = [
    'charset',
    'utf-8',
    '"utf-8"',
    'a',
    '"x,y"',
    '"\\,"',
    '"\\"',
    'a=b',
    '; a="b,c"',
    '; a=b',
    '\x7f',
    'é',
    '€'
  ];
  const part = fc.oneof(
    fc.constantFrom(...json, 'text/plain', 'application/json5'),
    fc.constantFrom(...seams, ...words)
  );

  it.each([
    undefined,
    null,
    '',
    ';',
    'application/json;a="b,c"',
    'application/json;a=b,c',
    'application/json, text/html'
  ])('%p', header => expect(ours(header)).toBe(stock(header)));

  it('a content type made of random pieces is JSON exactly if it is for the SDK', () => {
    const any = fc.tuple(
      fc.constantFrom(...json, ''),
      fc.array(part, { maxLength: 7 }).map(parts => parts.join(''))
    );
    // Where the header has a comma, every character of a parameter counts.
    const quoted = fc.tuple(
      fc.constant('application/json; a='),
      fc
        .array(fc.constantFrom(...'\0\t\n\v !"#[\\]^~\x7f\x80é\xff€'), { maxLength: 3 })
        .map(text => `"${text.join('')},"`)
    );
    let accepted = 0;
    const property = fc.property(fc.oneof(any, quoted), ([start, rest]) => {
      const header = start + rest;
      const expected = stock(header);
      if (expected && header.includes(',')) accepted++;
      expect([header, ours(header)]).toEqual([header, expected]);
    });
    fc.assert(property, { numRuns: 20_000, seed: 1 });
    // Otherwise the commas that are allowed, where the two could differ most, were never among them.
    expect(accepted).toBeGreaterThan(1000);
  });
});

describe('a body is read as by the SDK', () => {
  const utf8 = new TextEncoder().encode('\ufeffé€😀{"a":1}');
  const streams = fc.record({
    chunks: fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 12 }),
        fc.nat(9).map(at => utf8.slice(at, at + 5))
      ),
      { maxLength: 5 }
    ),
    declared: fc.constantFrom(undefined, 'x', '99', 'its length'),
    maxBytes: fc.nat(40),
    fails: fc.boolean()
  });

  it('a body is read like the SDK does, for any chunks, declared length and end', async () => {
    const property = fc.asyncProperty(streams, async each => {
      const [ours, stock] = await Promise.all([ourBody, stockBody].map(module => read(module, each)));
      // A body with a declared length is read as a whole: see `readRequestBody`.
      if (each.declared === 'its length') expect(ours?.result).toEqual(stock?.result);
      else expect(ours).toEqual(stock);
    });
    await fc.assert(property, { numRuns: 3000, seed: 1 });
  });

  it('a missing body is read like the SDK does', async () => {
    const none = { headers: new Headers(), body: null } as Request;
    expect(await ourBody.readRequestBody(none, 1)).toEqual(await stockBody.readRequestBody(none, 1));
  });

  it('a body has the same size limit as in the SDK, with the same error text', () => {
    expect(ourBody.DEFAULT_MAX_REQUEST_BODY_SIZE).toBe(stockBody.DEFAULT_MAX_REQUEST_BODY_SIZE);
    expect(ourBody.MAX_BATCH_SIZE).toBe(stockBody.MAX_BATCH_SIZE);
    expect(ourBody.requestBodyTooLargeMessage(7)).toBe(stockBody.requestBodyTooLargeMessage(7));
    for (const value of [undefined, null, 0, -1, NaN, Infinity, 0.5, 1, '1', true, {}]) {
      expect(resolved(ourBody, value)).toEqual(resolved(stockBody, value));
    }
  });
});

describe('a stream is kept alive as by the SDK', () => {
  it('the default keep-alive interval is that of the SDK', () => {
    expect(ourKeepAlive.defaultSseKeepAliveMs()).toBe(stockKeepAlive.DEFAULT_SSE_KEEP_ALIVE_MS);
  });

  it.each([undefined, null, NaN, Infinity, -1, 0, 0.5, 1, 1.5, 15_000, 2 ** 31 - 1, 2 ** 31, 2 ** 40, '5'])(
    'with keepAliveMs %p',
    value => {
      const [ours, stock] = [ourKeepAlive, stockKeepAlive].map(module => armed(module, value as number));
      expect(ours).toEqual(stock);
    }
  );
});

interface Sent {
  readonly chunks: Uint8Array[];
  readonly declared: string | undefined;
  readonly maxBytes: number;
  readonly fails: boolean;
}

/** What was read, how much was asked for, and whether the rest can be read by another. */
async function read(
  { readRequestBody }: Pick<typeof ourBody, 'readRequestBody'>,
  { chunks, declared, maxBytes, fails }: Sent
) {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[pulled++];
        if (chunk) controller.enqueue(chunk);
        else if (fails) controller.error(new Error('gone'));
        else controller.close();
      }
    },
    { highWaterMark: 0 }
  );
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const value = declared === 'its length' ? String(length) : declared;
  const headers = new Headers(value === undefined ? {} : { 'content-length': value });
  const text = () => new Response(body).text();
  const request = { headers, body, text } as Request;
  const result = await readRequestBody(request, maxBytes).catch((error: Error) => error.message);
  return { result, pulled, locked: body.locked };
}

function resolved(
  { resolveMaxRequestBodySize }: Pick<typeof ourBody, 'resolveMaxRequestBodySize'>,
  value: unknown
): unknown {
  try {
    return resolveMaxRequestBodySize(value as number);
  } catch (error) {
    return [(error as Error).name, (error as Error).message];
  }
}

/** The delay of the timer that was set, if any, whether it was unref'd, and whether it calls back. */
function armed({ armSseKeepAlive }: Pick<typeof ourKeepAlive, 'armSseKeepAlive'>, intervalMs: number): unknown {
  let ticks = 0;
  const timer = { unrefs: 0, unref: () => timer.unrefs++ };
  const setting = jest.spyOn(globalThis, 'setInterval').mockReturnValue(timer as never);
  const restoreTimers = useGlobalTimers();
  try {
    const result = armSseKeepAlive(intervalMs, () => ticks++);
    const delays = setting.mock.calls.map(([tick, delay]) => (tick(), delay));
    return { delays, ticks, unrefs: timer.unrefs, given: result === (timer as unknown) };
  } finally {
    restoreTimers();
    setting.mockRestore();
  }
}
