import type { Question } from '../support/pods/askingTools.js';

/** Something that clients do, as data: what is generated, shrunk, compared, and kept when it has found something. */
export interface Script {
  readonly options: EndpointOptions;
  /** How many pods there are; the stock SDK has one, whatever this says. */
  readonly pods: number;
  /** Each has a client of its own, and they act at the same time. */
  readonly sessions: readonly SessionScript[];
}

export interface EndpointOptions {
  /** Whether there is an event store. */
  readonly log: boolean;
  /** Whether a second GET stream is refused, as by the SDK. */
  readonly reject: boolean;
  /** Whether requests are answered with a JSON body. */
  readonly json: boolean;
}

export interface SessionScript {
  readonly client: ClientSpec;
  readonly actions: readonly Action[];
}

export interface ClientSpec {
  readonly version: string;
  readonly capabilities: readonly Capability[];
  /** Which kind of ids it gives its requests. */
  readonly ids: 'number' | 'string' | 'odd';
  /** Whether it completes the handshake. */
  readonly completes: boolean;
  /** Whether it tells its protocol version with each request. */
  readonly tellsVersion: boolean;
}

export type Capability = 'sampling' | 'form' | 'url' | 'roots';

/** Which pods the exchanges of an action go to, in turn. */
export interface Routed {
  readonly route: readonly number[];
}

export type Action = Routed &
  (
    | { readonly do: 'initialize'; readonly client: ClientSpec }
    /** Requests in flight at the same time, each in an exchange of its own, or all in one. */
    | { readonly do: 'request'; readonly requests: readonly Call[]; readonly batch: boolean }
    /** A call whose stream the client leaves and resumes while it is being answered. */
    | {
        readonly do: 'leave and resume';
        readonly before: number;
        readonly after: number;
        readonly hops: number;
        readonly leaving: Leaving | 'server closes';
        /** Whether the call goes on only when the client is back, before that, or at the same time. */
        readonly goesOn: 'live' | 'meanwhile' | 'at once';
        /** Whether it asks the client something when it goes on. */
        readonly asks: boolean;
      }
    | { readonly do: 'cancel'; readonly calls: number; readonly moved: boolean }
    | { readonly do: 'open GET' }
    | { readonly do: 'leave GET'; readonly leaving: Leaving }
    | { readonly do: 'resume GET' }
    | { readonly do: 'server closes GET' }
    /** Calls that all talk on the GET stream, while the client leaves and resumes it. */
    | { readonly do: 'leave GET amid talk'; readonly calls: number; readonly each: number; readonly leaving: Leaving }
    | { readonly do: 'notify'; readonly what: Notice }
    | { readonly do: 'wrong exchange'; readonly what: WrongExchange }
    | { readonly do: 'delete'; readonly inFlight: number }
    /** This pod forgets the session, as when it was idle; without a meaning for the stock SDK. */
    | { readonly do: 'forget'; readonly pod: number }
  );

/** How a client goes: it closes its connection, or the connection stays and nobody reads it any more. */
export type Leaving = 'drop' | 'half-open';

export type Call =
  | { readonly kind: 'echo' | 'fail' | 'whoami' | 'subscribed' | 'heard' | 'add' | 'ping' | 'list tools' }
  | { readonly kind: 'unknown method' | 'unknown tool' | 'bad params' | 'bad arguments' | 'bad level' }
  | { readonly kind: 'note' | 'progress' | 'talk'; readonly count: number }
  | { readonly kind: 'log' }
  | { readonly kind: 'set level'; readonly level: (typeof LEVELS)[number] }
  | { readonly kind: 'subscribe' | 'unsubscribe'; readonly uri: string }
  | {
      readonly kind: 'ask';
      readonly question: Question;
      readonly style: Style;
      readonly count: number;
      /** On the GET stream, not on the one that answers the call. */
      readonly unrelated: boolean;
    };

export const LEVELS = ['debug', 'info', 'warning', 'error', 'emergency'] as const;
/** How the client takes a question. The server cancels one that is ignored. */
export const STYLES = ['answer', 'decline', 'fail', 'twice', 'progress', 'ignore', 'nonsense'] as const;
export type Style = (typeof STYLES)[number];

export const NOTICES = [
  'roots changed',
  'unknown notification',
  'cancel nothing',
  'progress of nothing',
  'answer nothing',
  'fail nothing'
] as const;
export type Notice = (typeof NOTICES)[number];

export const WRONG_EXCHANGES = [
  'accept',
  'accept of GET',
  'content type',
  'no json',
  'no message',
  'version',
  'unknown session',
  'method',
  'initialize again',
  'unknown cursor'
] as const;
export type WrongExchange = (typeof WRONG_EXCHANGES)[number];
