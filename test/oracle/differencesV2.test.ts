import { differencesV2 } from './allowedDifferencesV2.js';
import { closeNodeEndpoint } from './endpoints.js';
import { play, type Transcript } from './harness.js';
import { normalise } from './normalise.js';
import { initialize, initializeMessage, jsonHeaders, post, rawPost, run, type Script } from './script.js';
import { oraclesV2, subjectsV2 } from './subjectsV2.js';

afterAll(closeNodeEndpoint);

interface Demonstration {
  readonly script: Script;
  readonly adapter?: 'node';
  readonly seen: (transcript: Transcript) => unknown;
  readonly stock: unknown;
  readonly ours: unknown;
}

const reports = ({ callbacks }: Transcript): unknown[] =>
  callbacks.flat().flatMap(call => (call as { onerror?: string }).onerror ?? []);
const outcomes = ({ sends }: Transcript): unknown[] => sends['responder: 1']!.map(({ outcome }) => outcome);

/** Each shows that its difference exists: if a release of the SDK removes it, its entry must go. */
const demonstrations: Record<number, Demonstration> = {
  1: {
    script: { steps: [rawPost('{', { session: null })] },
    seen: reports,
    stock: [expect.stringContaining('JSON at position')],
    ours: ['Parse error: Invalid JSON']
  },
  2: {
    script: { steps: [initialize(), post([run(1, 'take a turn', 'answer'), run(2, 'throw')])] },
    seen: outcomes,
    stock: ['sent'],
    ours: ['No connection established for request ID: 1']
  },
  3: {
    script: {
      steps: [post(initializeMessage(), { session: null, headers: [...jsonHeaders, ['host', '127.1']] })]
    },
    adapter: 'node',
    seen: ({ callbacks }) => callbacks.flat().flatMap(call => (call as { extra?: { url: string } }).extra?.url ?? []),
    stock: ['http://127.1/mcp'],
    ours: ['http://127.0.0.1/mcp']
  }
};

describe.each(differencesV2)('V2-$number. $title', ({ number }) => {
  const { script, adapter, seen, stock, ours } = demonstrations[number]!;
  const shown = subjectsV2.filter(subject => !adapter || subject.adapter === adapter);

  it.each(shown)('is a difference ($name)', async subject => {
    expect(seen(normalise(await play(script, oraclesV2[subject.adapter])))).toEqual(stock);
    expect(seen(normalise(await play(script, subject)))).toEqual(ours);
  });
});

/** What a client that has left does not get: the same as with the SDK, unlike version 1. */
it.each(subjectsV2)('an answer that cannot reach a client is reported, and send resolves ($name)', async subject => {
  const steps: Script['steps'] = [
    initialize(),
    post(run(1), { as: 'left', until: 'open' }),
    { do: 'abort', exchange: 'left' },
    { do: 'send', message: { jsonrpc: '2.0', id: 1, result: {} } }
  ];
  const stock = normalise(await play({ steps }, oraclesV2[subject.adapter]));
  const ours = normalise(await play({ steps }, subject));
  for (const transcript of [stock, ours]) {
    expect(transcript.sends['script: 1']!.map(({ outcome }) => outcome)).toEqual(['sent']);
    expect(reports(transcript)).toEqual([expect.stringMatching(/^Response for request ID 1 is undeliverable/)]);
  }
});
