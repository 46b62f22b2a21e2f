import type { JSONRPCMessage, JSONRPCRequest } from '../sdkTypes.js';
import type { Exchange, Reply } from './http/exchange.js';
import type { WaitBudget } from '../deadline.js';
import type { SessionContext } from './context.js';
import type { Routing } from './pods/routing.js';
import type { SessionLifecycle } from './session/lifecycle.js';
import type { SessionStreams } from './streams/sessionStreams.js';
import type { Resumption } from './streams/resumption.js';
import type { OpenRequest } from './streams/openRequests.js';

/** A session with the parts of its engine that are needed to answer a request. */
export interface EngineParts extends SessionContext {
  readonly lifecycle: SessionLifecycle;
  readonly streams: SessionStreams;
  /** Defined in external mode. */
  readonly routing: Routing | undefined;
  /** Defined with an event store. */
  readonly resumption: Resumption | undefined;
  /** Why a client must ask for more scopes before the server gets its messages. Undefined: no such check. */
  readonly scopeChallenge:
    ((messages: readonly JSONRPCMessage[], exchange: Exchange) => Promise<Reply | undefined>) | undefined;
  /** Returns what to store after the server has accepted a request. */
  onresult(request: JSONRPCRequest, waits?: WaitBudget): OpenRequest['onresult'];
  /** Why a request is refused before the server gets it. Undefined if it is not refused. */
  problemOf(request: JSONRPCRequest): string | undefined;
}
