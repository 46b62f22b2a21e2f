/** How many bytes a request's body may have if `maxRequestBodySize` is not given. */
export const DEFAULT_MAX_REQUEST_BODY_SIZE = 4_194_304;

/** How many messages a batch may have. */
export const MAX_BATCH_SIZE = 100;

/**
 * How deep JSON may be nested in a message that is kept in the store or sent to other pods. Serializing JSON uses the
 * stack: a few thousand levels exhaust it, here or in a backend.
 */
export const MAX_NESTING = 1000;

/** The text of the reply 413, equal to the SDK's. */
export function requestBodyTooLargeMessage(maxBytes: number): string {
  return `Payload Too Large: Request body must not exceed ${maxBytes} bytes`;
}

/** @throws RangeError with the SDK's text if the option is not a number of bytes */
export function resolveMaxRequestBodySize(option: number | undefined): number {
  const bytes = option === undefined ? DEFAULT_MAX_REQUEST_BODY_SIZE : option;
  if (Number.isFinite(bytes) && bytes > 0) return bytes;
  throw new RangeError(`maxRequestBodySize must be a positive number of bytes, got ${String(option)}`);
}
