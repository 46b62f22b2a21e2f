/** How many bytes a request's body may have where `maxRequestBodySize` is not given. */
export const DEFAULT_MAX_REQUEST_BODY_SIZE = 4_194_304;

/** How many messages a batch may have. */
export const MAX_BATCH_SIZE = 100;

/** What a client is told with 413, in the SDK's words. */
export function requestBodyTooLargeMessage(maxBytes: number): string {
  return `Payload Too Large: Request body must not exceed ${maxBytes} bytes`;
}

/** @throws RangeError, in the SDK's words, where the option is no number of bytes */
export function resolveMaxRequestBodySize(option: number | undefined): number {
  const bytes = option === undefined ? DEFAULT_MAX_REQUEST_BODY_SIZE : option;
  if (Number.isFinite(bytes) && bytes > 0) return bytes;
  throw new RangeError(`maxRequestBodySize must be a positive number of bytes, got ${String(option)}`);
}

/**
 * The body's text. What is declared to be too large is not read, and what turns out to be is not read to its end.
 * Rejects as the stream does.
 */
export async function readRequestBody(
  { headers, body }: Request,
  maxBytes: number
): Promise<{ tooLarge: true } | { tooLarge: false; text: string }> {
  if (Number(headers.get('content-length')) > maxBytes) return { tooLarge: true };
  if (!body) return { tooLarge: false, text: '' };

  const decoder = new TextDecoder();
  const texts: string[] = [];
  const reader = body.getReader();
  try {
    let left = maxBytes;
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      left -= chunk.value.byteLength;
      if (left < 0) return { tooLarge: true };
      texts.push(decoder.decode(chunk.value, { stream: true }));
    }
  } finally {
    // Whoever answers decides what becomes of the rest.
    reader.releaseLock();
  }
  texts.push(decoder.decode());
  return { tooLarge: false, text: texts.join('') };
}
