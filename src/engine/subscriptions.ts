import type { JSONRPCRequest } from 'mcp-sdk-upstream/types.js';
import { MAX_SUBSCRIPTIONS } from '../sessionStore.js';

/** What the client of one session has subscribed to, in memory mode. */
export class LocalSubscriptions {
  readonly #uris = new Set<string>();

  isSubscribedTo(uri: string): boolean {
    return this.#uris.has(uri);
  }

  /** What to note when the server has accepted this request. */
  onresult({ method, params }: JSONRPCRequest): (() => void) | undefined {
    const uri = String(params?.uri);
    if (method === 'resources/unsubscribe') return () => void this.#uris.delete(uri);
    if (method !== 'resources/subscribe') return undefined;
    return () => {
      if (this.#uris.size < MAX_SUBSCRIPTIONS) this.#uris.add(uri);
    };
  }
}
