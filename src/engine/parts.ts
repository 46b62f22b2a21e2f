import type { JSONRPCRequest } from 'mcp-sdk-upstream/types.js';
import type { WaitBudget } from '../deadline.js';
import type { SessionContext } from './context.js';
import type { Routing } from './pods/routing.js';
import type { SessionLifecycle } from './session/lifecycle.js';
import type { Outbound } from './streams/outbound.js';
import type { Resumption } from './streams/resumption.js';
import type { OpenRequest } from './streams/streamRegistry.js';

/** A session with the parts of its engine: what answering a request takes. */
export interface EngineParts extends SessionContext {
  readonly lifecycle: SessionLifecycle;
  readonly outbound: Outbound;
  /** In external mode. */
  readonly routing: Routing | undefined;
  /** With an event store. */
  readonly resumption: Resumption | undefined;
  /** What to store when the server has accepted a request. */
  onresult(request: JSONRPCRequest, waits?: WaitBudget): OpenRequest['onresult'];
  /** Why a request is refused before the server gets it; undefined if it is not. */
  problemOf(request: JSONRPCRequest): string | undefined;
}
