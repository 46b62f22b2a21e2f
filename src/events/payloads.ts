/**
 * What the channels of this package carry. A session is named by the fingerprint of its id, as in errors: an id is a
 * secret. Times are in milliseconds. A later release may add types and fields.
 */

/** Runs `work`, and returns its result. A subscriber sets it to run the work in a context of its own. */
export type RunWithin = <T>(work: () => T) => T;

/** The headers, or fields of `params._meta`, that carry a trace (W3C Trace Context and Baggage). */
export type TraceField = 'traceparent' | 'tracestate' | 'baggage';

/** Why a pod had to recover a session. It had forgotten the session, or the session is older than this process. */
export type RecoveryCause = 'forgotten' | 'before-start' | 'other-pod';

/** Who has ended a session. `discarded`: the pod that was opening it, because its client did not get it. */
export type EndedBy = 'client' | 'application' | 'other-pod' | 'discarded';

/** Why a request was refused because of its session, or of the pod's state. */
export type RefusalReason =
  | 'not-found'
  | 'other-owner'
  | 'store-unavailable'
  | 'record-unreadable'
  | 'bus-unavailable'
  | 'pod-full'
  | 'draining'
  | 'left-pod'
  | 'open-rate'
  | 'session-limit'
  | 'handshake-too-large'
  | 'stream-conflict';

/** On the channel `mcp-anypod:session`. */
export type SessionEvent =
  /** A client has opened a session. `durationMs`: with its write to the store. */
  | {
      /** Names the event. */
      readonly type: 'created';
      /** The fingerprint of the session. */
      readonly session: string;
      /** In milliseconds. */
      readonly durationMs: number;
    }
  /** This pod has recovered a session. `durationMs`: without the server factory. */
  | {
      /** Names the event. */
      readonly type: 'recovered';
      /** The fingerprint of the session. */
      readonly session: string;
      /** Why. */
      readonly cause: RecoveryCause;
      /** In milliseconds. */
      readonly durationMs: number;
    }
  /** This pod has forgotten an idle session. In external mode it continues to exist. `closed`: its transport was closed. */
  | {
      /** Names the event. */
      readonly type: 'forgotten';
      /** The fingerprint of the session. */
      readonly session: string;
      /** Why. */
      readonly cause: 'idle' | 'capacity' | 'closed';
    }
  /** A session has ended for every pod. Each pod that had it says so. `ageMs`: since it was opened, if known. */
  | {
      /** Names the event. */
      readonly type: 'ended';
      /** The fingerprint of the session. */
      readonly session: string;
      /** Who did it. */
      readonly by: EndedBy;
      /** Milliseconds since the session was opened, if known. */
      readonly ageMs: number | undefined;
    }
  /** The store does not have a session any more that was live here. */
  | {
      /** Names the event. */
      readonly type: 'expired';
      /** The fingerprint of the session. */
      readonly session: string;
      /** Milliseconds since the session was opened, if known. */
      readonly ageMs: number | undefined;
    }
  /** A request was not served. */
  | {
      /** Names the event. */
      readonly type: 'refused';
      /** The fingerprint of the session. */
      readonly session: string | undefined;
      /** Why the request was refused. */
      readonly reason: RefusalReason;
      /** The HTTP status of the reply. */
      readonly status: number;
    }
  /** The handler was closed. `unfinished`: requests that were still open at the end of `drainMs`. */
  | {
      /** Names the event. */
      readonly type: 'drained';
      /** How many sessions were live at the beginning. */
      readonly sessions: number;
      /** How many requests were open at the end. */
      readonly unfinished: number;
      /** In milliseconds. */
      readonly durationMs: number;
    };

/** A stream that stays open after its request: the answer to a POST, or the standalone stream of a GET. */
export type StreamKind = 'request' | 'standalone';

/** On the channel `mcp-anypod:stream`. */
export type StreamEvent =
  | {
      /** Names the event. */
      readonly type: 'opened';
      /** The fingerprint of the session. */
      readonly session: string | undefined;
      /** Which stream it is. */
      readonly kind: StreamKind;
    }
  | {
      /** Names the event. */
      readonly type: 'closed';
      /** The fingerprint of the session. */
      readonly session: string | undefined;
      /** Which stream it is. */
      readonly kind: StreamKind;
      /** In milliseconds. */
      readonly durationMs: number;
    }
  /** A newer GET stream of the session, on this pod or on another one, has replaced the one on this pod. */
  | {
      /** Names the event. */
      readonly type: 'taken-over';
      /** The fingerprint of the session. */
      readonly session: string | undefined;
      /** Who did it. */
      readonly by: 'this-pod' | 'other-pod';
    }
  /** A client has resumed a stream here. `replayed`: events from the log. `owner`: the pod that runs its requests. */
  | {
      /** Names the event. */
      readonly type: 'resumed';
      /** The fingerprint of the session. */
      readonly session: string | undefined;
      /** Which stream it is. */
      readonly kind: StreamKind;
      /** How many events came from the log. */
      readonly replayed: number;
      /** The pod that runs the requests of the stream. */
      readonly owner: 'this-pod' | 'other-pod';
    }
  /** The pod that ran these requests is gone. The client gets errors for them. */
  | {
      /** Names the event. */
      readonly type: 'owner-gone';
      /** The fingerprint of the session. */
      readonly session: string | undefined;
      /** How many requests get an error. */
      readonly requests: number;
    };

/** How a call to a store, a bus or a log ended. `error`: the code of an error of this package, and its message. */
export interface CallEvent {
  /** Names the event. */
  readonly type: 'call';
  /** The method of the port. */
  readonly call: string;
  /** How the call ended. */
  readonly outcome: 'ok' | 'error' | 'timeout';
  /** In milliseconds. */
  readonly durationMs: number;
  /** Undefined if the call is not about one session. */
  readonly session: string | undefined;
  /** What the caller got, if the call failed. */
  readonly error:
    | {
        /** The code of an error of this package. */
        readonly code: string;
        /** Without secrets. */
        readonly message: string;
      }
    | undefined;
}

/**
 * A message to other pods (`out`), or one from another pod (`in`). One object is published with the phase `start`, and
 * again with the phase `end` after it was sent or handled.
 */
export interface BusMessageEvent {
  /** Names the event. */
  readonly type: 'message';
  /** Where it goes. */
  readonly direction: 'out' | 'in';
  /** Whether it begins or has ended. */
  phase: 'start' | 'end';
  /** The type of the message, for example `response`. */
  readonly kind: string;
  /** The fingerprint of the session. */
  readonly session: string;
  /**
   * The context of its trace, as in the header `traceparent`. If a subscriber sets it at the start of an `out`
   * message, the message carries it.
   */
  traceparent: string | undefined;
  /** At the end of an `out` message: whether the bus took it. */
  sent: boolean | undefined;
  /** A subscriber may set it at the start. */
  within: RunWithin | undefined;
}

/** On the channel `mcp-anypod:bus`. */
export type BusEvent = CallEvent | BusMessageEvent;

/** On the channel `mcp-anypod:exchange`: one HTTP request and its response. Published at the start and at the end. */
export interface ExchangeEvent {
  /** Whether it begins or has ended. */
  phase: 'start' | 'end';
  /** The method. */
  readonly method: string;
  /** Known at the end if the request opens a session. */
  session: string | undefined;
  /** At the end. Undefined if no response was sent. */
  status: number | undefined;
  /** At the end: until the response was complete; for a stream, until it ended. */
  durationMs: number;
  /** A subscriber may set it at the start: the exchange is then served within it. */
  within: RunWithin | undefined;
  /** A header about a trace. */
  trace(field: TraceField): string | undefined;
}

/**
 * On the channel `mcp-anypod:request`: one JSON-RPC request, of the client (`in`) or of the server (`out`). Published at
 * the start and at the end.
 */
export interface RequestEvent {
  /** Where it goes. */
  readonly direction: 'in' | 'out';
  /** Whether it begins or has ended. */
  phase: 'start' | 'end';
  /** The method. */
  readonly method: string;
  /** Its id, as the sender chose it. */
  readonly id: string | number;
  /** The fingerprint of the session. */
  readonly session: string | undefined;
  /** The name of the tool or prompt, if the request has one. */
  readonly target: string | undefined;
  /** The URI of the resource, if the request has one. */
  readonly uri: string | undefined;
  /** The exchange that brought a request of the client, if its channel had a subscriber. */
  readonly exchange: ExchangeEvent | undefined;
  /** At the end. `closed`: the session was closed on this pod before. */
  outcome: 'result' | 'error' | 'tool-error' | 'cancelled' | 'closed' | undefined;
  /** At the end: the code of a JSON-RPC error. */
  errorCode: number | undefined;
  /** At the end: the time to the response. */
  durationMs: number;
  /** At the end of an `out` request whose response another pod has sent: the context of that pod's trace. */
  answeredFrom: string | undefined;
  /** A subscriber may set it at the start of an `in` request: the server then gets the request within it. */
  within: RunWithin | undefined;
  /** A field of `params._meta` about a trace. */
  trace(field: TraceField): string | undefined;
}

/** The channels of this package, for `node:diagnostics_channel`, and what each carries. */
export interface AnypodChannels {
  /** The life of sessions. */
  'mcp-anypod:session': SessionEvent;
  /** HTTP requests. */
  'mcp-anypod:exchange': ExchangeEvent;
  /** JSON-RPC requests. */
  'mcp-anypod:request': RequestEvent;
  /** Streams that stay open. */
  'mcp-anypod:stream': StreamEvent;
  /** Calls to the session store. */
  'mcp-anypod:store': CallEvent;
  /** Calls to the bus, and messages between pods. */
  'mcp-anypod:bus': BusEvent;
  /** Calls to the event log. */
  'mcp-anypod:log': CallEvent;
}
