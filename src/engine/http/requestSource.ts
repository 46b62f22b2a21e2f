import type { SessionStateEntry, StateWrite } from '../../ports/sessionStore.js';

/** The source of a request's headers, URL and signal, which are built only for an application that reads them. */
export interface RequestSource {
  readonly method: string;
  /** The runtime's own request, if it is a web-standard one. */
  readonly webRequest?: Request;
  /** Names in lower case. */
  readHeaders(): Record<string, string>;
  readUrl(): URL;
  /** Aborted after the client has left before the end of the answer. */
  readSignal(): AbortSignal;
}

/** Reads and writes the state of one session. */
export interface StateAccess {
  readonly maxStateBytes: number;
  /** Null if the session is missing. */
  getState(): Promise<SessionStateEntry | null>;
  putState(value: string | null, ifVersion?: number): Promise<StateWrite>;
}
