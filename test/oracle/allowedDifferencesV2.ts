import type { Transcript } from './harness.js';
import type { Script } from './script.js';

/** An intended difference from version 2 of the SDK. Its section in PATCHES.md has the same number. */
export interface DifferenceV2 {
  readonly number: number;
  readonly title: string;
  /** The expected transcript, computed from that of the stock transport. */
  readonly expects?: (stock: Transcript) => Transcript;
  /** Whether this script leaves open if later messages for its requests are sent. */
  readonly leavesSendsOpen?: (stock: Transcript, script: Script) => boolean;
}

/** What version 2 of the SDK reports if a body is not JSON, or not a JSON-RPC message: the parser's own error. */
const NOT_JSON =
  /^(?:Unexpected |Expected |Bad (?:control|escaped|Unicode) |Unterminated |Exponent |No number |"undefined" is not)|JSON at position|valid JSON/;

export const differencesV2: DifferenceV2[] = [
  {
    number: 1,
    title: '`onerror` gets a text of the transport if a body cannot be read',
    expects: stock => ({
      ...stock,
      callbacks: stock.callbacks.map(calls =>
        calls.map(call => {
          const { onerror } = call as { onerror?: unknown };
          return typeof onerror === 'string' ? { ...(call as object), onerror: ownText(onerror) } : call;
        })
      )
    })
  },
  {
    number: 2,
    title: 'The requests of an exchange that failed are closed',
    leavesSendsOpen: ({ exchanges, callbacks }, { options }) =>
      exchanges.some(({ body }) => body.includes('Error: The server throws')) ||
      // In JSON mode the SDK on Node answers an error that nobody has caught with a bare 500.
      (options?.enableJsonResponse === true &&
        (callbacks.slice(0, -1).flat().includes('onclose') ||
          exchanges.some(({ status, handled }) => status === 500 || handled?.includes('The server throws'))))
  },
  {
    number: 3,
    title: 'The URL of a request is normalised',
    expects: stock => ({
      ...stock,
      callbacks: stock.callbacks.map(calls =>
        calls.map(call => {
          const { extra } = call as { extra?: { url?: string } };
          return extra?.url ? { ...(call as object), extra: { ...extra, url: new URL(extra.url).href } } : call;
        })
      )
    })
  }
];

function ownText(message: string): string {
  if (message.startsWith('[\n  {')) return 'Parse error: Invalid JSON-RPC message';
  return NOT_JSON.test(message) ? 'Parse error: Invalid JSON' : message;
}

export function expectedOfV2(stock: Transcript): Transcript {
  return differencesV2.reduce((transcript, { expects }) => expects?.(transcript) ?? transcript, stock);
}

/** The transcript with only what must be the same: see {@link DifferenceV2.leavesSendsOpen}. */
export function comparable(transcript: Transcript, stock: Transcript, script: Script): Transcript {
  if (!differencesV2.some(({ leavesSendsOpen }) => leavesSendsOpen?.(stock, script))) return transcript;
  const either = (outcome: string): string => (/^(?:sent$|No connection )/.test(outcome) ? 'sent or refused' : outcome);
  const sends = Object.entries(transcript.sends).map(([about, sent]) => [
    about,
    sent.map(each => ({ ...each, outcome: either(each.outcome) }))
  ]);
  return { ...transcript, sends: Object.fromEntries(sends) as Transcript['sends'], stored: {}, streamIds: {} };
}
