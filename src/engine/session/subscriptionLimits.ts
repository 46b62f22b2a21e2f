import { MAX_SUBSCRIPTIONS } from '../../ports/sessionStore.js';
import { exceedsBytes } from '../http/textSize.js';

/**
 * Why a session may not subscribe to one more resource; undefined if it may. A URI with an existing subscription is
 * never refused.
 * @param maxBytes - the limit for all its URIs together
 */
export function subscriptionProblem(
  subscriptions: ReadonlySet<string> | undefined,
  uri: string,
  maxBytes: number
): string | undefined {
  if (subscriptions?.has(uri)) return undefined;
  if ((subscriptions?.size ?? 0) >= MAX_SUBSCRIPTIONS) return `a session may have ${MAX_SUBSCRIPTIONS} subscriptions`;
  const uris = [...(subscriptions ?? []), uri].join('');
  return exceedsBytes(uris, maxBytes) ? `the subscribed URIs of a session may take ${maxBytes} bytes` : undefined;
}
