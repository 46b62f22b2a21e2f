import type { JSONRPCRequest } from 'mcp-sdk-upstream/types.js';
import { MAX_SUBSCRIPTIONS } from '../../ports/sessionStore.js';

/** What the client of one session has subscribed to, in memory mode. */
export class LocalSubscriptions {
  #uris: Set<string> | undefined;

  isSubscribedTo(uri: string): boolean {
    return this.#uris?.has(uri) ?? false;
  }

  /** What to note when the server has accepted this request. */
  onresult({ method, params }: JSONRPCRequest): (() => void) | undefined {
    const uri = String(params?.uri);
    if (method === 'resources/unsubscribe') return () => void this.#uris?.delete(uri);
    if (method !== 'resources/subscribe') return undefined;
    return () => {
      this.#uris ??= new Set();
      if (this.#uris.size < MAX_SUBSCRIPTIONS) this.#uris.add(uri);
    };
  }
}
