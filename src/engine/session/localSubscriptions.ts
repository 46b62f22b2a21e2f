import type { JSONRPCRequest } from '../../sdkTypes.js';
import { subscriptionProblem } from './subscriptionLimits.js';

/** The resource subscriptions of one session in memory mode. */
export class LocalSubscriptions {
  readonly #maxBytes: number;
  #uris: Set<string> | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  isSubscribedTo(uri: string): boolean {
    return this.#uris?.has(uri) ?? false;
  }

  /** Returns what to record after the server has accepted this request. */
  onresult({ method, params }: JSONRPCRequest): (() => void) | undefined {
    if (method !== 'resources/subscribe' && method !== 'resources/unsubscribe') return undefined;
    // The SDK's servers refuse other types, but the application may have its own handler.
    const uri = params?.uri;
    if (typeof uri !== 'string') return undefined;
    if (method === 'resources/unsubscribe') return () => void this.#uris?.delete(uri);
    return () => {
      if (subscriptionProblem(this.#uris, uri, this.#maxBytes) === undefined) (this.#uris ??= new Set()).add(uri);
    };
  }
}
