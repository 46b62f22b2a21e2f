import type { JSONRPCRequest } from 'mcp-sdk-upstream/types.js';
import { subscriptionProblem } from './subscriptionLimits.js';

/** What the client of one session has subscribed to, in memory mode. */
export class LocalSubscriptions {
  readonly #maxBytes: number;
  #uris: Set<string> | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  isSubscribedTo(uri: string): boolean {
    return this.#uris?.has(uri) ?? false;
  }

  /** What to note when the server has accepted this request. */
  onresult({ method, params }: JSONRPCRequest): (() => void) | undefined {
    if (method !== 'resources/subscribe' && method !== 'resources/unsubscribe') return undefined;
    // The SDK's servers refuse anything else, but the handler may be the application's.
    const uri = params?.uri;
    if (typeof uri !== 'string') return undefined;
    if (method === 'resources/unsubscribe') return () => void this.#uris?.delete(uri);
    return () => {
      if (subscriptionProblem(this.#uris, uri, this.#maxBytes) === undefined) (this.#uris ??= new Set()).add(uri);
    };
  }
}
