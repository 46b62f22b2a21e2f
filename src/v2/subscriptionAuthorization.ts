import type { Exchange, Reply } from '../engine/http/exchange.js';
import { isRequest } from '../engine/http/jsonRpc.js';
import { INVALID_PARAMS, jsonReply } from '../engine/http/replies.js';
import type { AuthInfo, JSONRPCMessage } from '../sdkTypes.js';
import { requestOf } from './lazyRequest.js';

/** The lists of whose changes a client may be told. */
export type ListKind = 'tools_list_changed' | 'prompts_list_changed' | 'resources_list_changed';

/**
 * Decides whether a client may subscribe: to the updates of a resource (its URI), or to the changes of a list (a
 * {@link ListKind}). Asked
 * for each subscription of `subscriptions/listen`, and for the URI of each `resources/subscribe`. If it throws, the
 * client may not.
 */
export type AuthorizeSubscription = (
  subscription: string,
  request: { authInfo: AuthInfo | undefined; requestInfo: Request }
) => boolean | Promise<boolean>;

const LISTS = {
  toolsListChanged: 'tools_list_changed',
  promptsListChanged: 'prompts_list_changed',
  resourcesListChanged: 'resources_list_changed'
} as const satisfies Record<string, ListKind>;

/** Asks the application about subscriptions. */
export class SubscriptionAuthorization {
  readonly #authorize: AuthorizeSubscription;
  readonly #report: (error: Error) => void;

  constructor(authorize: AuthorizeSubscription, report: (error: Error) => void) {
    this.#authorize = authorize;
    this.#report = report;
  }

  /** A `subscriptions/listen` request with only the allowed subscriptions. The client sees them in the acknowledgement. */
  async allowedPart(message: ListenRequest, exchange: Exchange): Promise<ListenRequest> {
    const filter = message.params?.notifications;
    if (typeof filter !== 'object' || filter === null) return message;
    const allowed: Record<string, unknown> = { ...filter };
    for (const [field, kind] of Object.entries(LISTS)) {
      if (allowed[field] === true && !(await this.#isAllowed(kind, exchange))) delete allowed[field];
    }
    const uris = allowed.resourceSubscriptions;
    if (Array.isArray(uris)) {
      const answers = await Promise.all(
        uris.map(async uri => typeof uri !== 'string' || this.#isAllowed(uri, exchange))
      );
      allowed.resourceSubscriptions = uris.filter((_, index) => answers[index]);
    }
    return { ...message, params: { ...message.params, notifications: allowed } };
  }

  /** The reply to a `resources/subscribe` that is not allowed. */
  async refusalOf(messages: readonly JSONRPCMessage[], exchange: Exchange): Promise<Reply | undefined> {
    for (const message of messages) {
      if (!isRequest(message) || message.method !== 'resources/subscribe') continue;
      const uri = message.params?.uri;
      if (typeof uri !== 'string' || (await this.#isAllowed(uri, exchange))) continue;
      const error = { code: INVALID_PARAMS, message: 'The subscription to this resource is not allowed' };
      return jsonReply({ jsonrpc: '2.0', id: message.id, error }, exchange.header('mcp-session-id') ?? undefined);
    }
    return undefined;
  }

  async #isAllowed(subscription: string, exchange: Exchange): Promise<boolean> {
    try {
      const requestInfo = requestOf(exchange);
      return (await this.#authorize(subscription, { authInfo: exchange.authInfo, requestInfo })) === true;
    } catch (error) {
      this.#report(error as Error);
      return false;
    }
  }
}

/** A `subscriptions/listen` request as the client has sent it. */
export interface ListenRequest {
  readonly method: 'subscriptions/listen';
  readonly params?: { readonly notifications?: unknown };
}

export function isListen(body: unknown): body is ListenRequest {
  return typeof body === 'object' && body !== null && (body as { method?: unknown }).method === 'subscriptions/listen';
}
