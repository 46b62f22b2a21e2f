import type { ExchangeRecord, Transcript } from './harness.js';

const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g;
/** Difference 14: what the name of a request stream says besides. */
const OWNER = /[0-9a-f]{12}\.[0-9a-f]*\.(?=[0-9a-f]{8}-)/g;
const KEEP_ALIVE = ': keepalive\n\n';

/** The transcript without what differs between two runs of the same transport: dates, uuids, timing. */
export function normalise(transcript: Transcript): Transcript {
  const names = new Map<string, string>();
  const nameOf = (uuid: string): string => {
    if (!names.has(uuid)) names.set(uuid, `<uuid-${names.size + 1}>`);
    return names.get(uuid)!;
  };
  const exchanges = transcript.exchanges.map(normaliseExchange);
  const callbacks = transcript.callbacks.map(entries => entries.map(withoutLength));
  const text = JSON.stringify({ ...transcript, exchanges, callbacks }, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value
  );
  return JSON.parse(text.replace(OWNER, '').replace(UUID, nameOf)) as Transcript;
}

/** A client's answer is as long as the id that it answers to (difference 13). */
function withoutLength(entry: unknown): unknown {
  const { onmessage: message, extra } = (entry ?? {}) as { onmessage?: object; extra?: { headers?: object } };
  if (!message || 'method' in message || !extra?.headers) return entry;
  const headers = Object.entries(extra.headers).filter(([name]) => name !== 'content-length');
  return { ...(entry as object), extra: { ...extra, headers: Object.fromEntries(headers) as object } };
}

function normaliseExchange(exchange: ExchangeRecord): ExchangeRecord {
  const { body, headers } = exchange;
  const isStream = headers.some(([name, value]) => name.toLowerCase() === 'content-type' && /event-stream/.test(value));
  return {
    ...exchange,
    headers: headers.filter(([name]) => {
      const lower = name.toLowerCase();
      // Whether a stream goes out in one piece depends on how quickly its end came.
      const framing = isStream && (lower === 'content-length' || lower === 'transfer-encoding');
      return lower !== 'date' && !framing;
    }),
    // How much had arrived when the client left is a matter of luck.
    body:
      exchange.ended === 'aborted'
        ? ''
        : body.includes(KEEP_ALIVE)
          ? `${KEEP_ALIVE}${body.replaceAll(KEEP_ALIVE, '')}`
          : body
  };
}
