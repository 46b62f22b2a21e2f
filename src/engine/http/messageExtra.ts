import type { MessageExtraInfo } from 'mcp-sdk-upstream/types.js';
import type { Exchange } from './exchange.js';
import { LazyRequestInfo, type StateAccess } from './requestInfo.js';

/** The extra information that the server gets with a message: which exchange brought it, and where its session's state is. */
export function messageExtra(exchange: Exchange, state: StateAccess): MessageExtraInfo {
  const { authInfo, requestInfo } = exchange;
  LazyRequestInfo.linkState(requestInfo, state);
  return { authInfo, requestInfo };
}
