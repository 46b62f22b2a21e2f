import type { MessageExtraInfo } from 'mcp-sdk-upstream/types.js';
import type { Exchange } from './exchange.js';
import { LazyRequestInfo, type StateAccess } from './requestInfo.js';

/** The extra information that the server gets with a message: its exchange and the state of its session. */
export function messageExtra(exchange: Exchange, state: StateAccess): MessageExtraInfo {
  const { authInfo, requestInfo } = exchange;
  LazyRequestInfo.linkState(requestInfo, state);
  return { authInfo, requestInfo };
}
