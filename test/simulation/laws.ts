/** A law that every history is checked against. README.md here has this table; test/unit/laws.test.ts compares them. */
export interface Law {
  readonly law: string;
  /** Under which conditions it holds. */
  readonly holds: string;
}

export const laws = {
  exists: {
    law: 'A session lives until its client ends it or it expires: before that, no request is answered 404.',
    holds: 'always, unless a failover of the store loses the session'
  },
  opens: { law: 'A client gets a session.', holds: 'always, after the faults have ended' },
  ended: {
    law: 'After a DELETE is answered 200, no pod serves the session.',
    holds:
      'always; with `sessionFreshnessMs`, after this time or after the message of the end. Not if a failover loses the deletion, or if a store of five methods writes a change while it is deleted'
  },
  told: {
    law: 'After a DELETE is answered 200, the streams of the session end at once on every pod.',
    holds: 'while nothing fails'
  },
  once: { law: 'Of two DELETEs at the same time, only one is answered 200.', holds: 'while nothing fails' },
  understood: { law: 'Each exchange is answered with a status that its client can handle.', holds: 'always' },
  inTime: {
    law: 'Each exchange is answered within some seconds.',
    holds: 'always, whatever store, bus and log do, unless its pod is killed or paused'
  },
  singly: { law: 'No request is answered twice.', holds: 'always' },
  right: { law: 'An answer belongs to its request, and a message to the session of its stream.', holds: 'always' },
  over: {
    law: 'Every request ends: with its answer, an error, a session that has ended, or a connection that broke before the client had a cursor.',
    holds: 'always, after the faults have ended'
  },
  delivered: {
    law: 'A response is not ended without the answer if the client has no cursor and nothing has cut its connection.',
    holds: 'always, unless its pod was killed or the session has ended'
  },
  clean: {
    law: 'No request fails, runs twice, or loses its answer.',
    holds: 'while nothing fails; a pod that drains, a pod that is added and a clock that jumps are not failures'
  },
  known: {
    law: 'A request fails only by an error that says why: the pod is gone, or nobody answered in time.',
    holds: 'always'
  },
  heard: {
    law: 'Nothing that a server sends on the GET stream is lost after the client has its first cursor.',
    holds: 'with an event log on every pod, while nothing fails'
  },
  unrepeated: {
    law: 'No message comes twice.',
    holds:
      'always; if the log fails or loses events, if the bus of a fleet without a log fails, or if only some of the pods have a log, a message may come again on a later connection, with the same event id or the same id of its question'
  },
  prompt: {
    law: 'What a server sends reaches its client within seconds, also if the client has just come back elsewhere.',
    holds: 'with an event log on every pod and `standaloneStream: takeover`, while nothing fails'
  },
  answered: {
    law: "A client's answer that was accepted with 202 reaches the server that asked.",
    holds: 'always, if the bus reaches the pod that asked'
  },
  reported: {
    law: "A client's progress that was accepted with 202 reaches the server that asked, before the answer.",
    holds: 'while nothing fails'
  },
  oneServer: { law: 'A pod has at most one server of a session.', holds: 'always' },
  recovered: {
    law: 'A recovered server gets nothing but the replay before its recovery is complete.',
    holds: 'always'
  },
  knows: {
    law: "On every pod the server knows the client's name and capabilities, and that the handshake is complete.",
    holds: 'always'
  },
  settings: {
    law: 'On every pod the server knows the log level and the subscriptions that were confirmed to the client.',
    holds: 'while nothing fails; with `sessionFreshnessMs`, after the message of the change'
  },
  oneStream: {
    law: 'Of two GET streams of a session that are opened at the same time, exactly one stays.',
    holds: 'with `standaloneStream: takeover`, while nothing fails'
  },
  healed: {
    law: 'After the faults, every pod answers, asks and sends for every session as if nothing had happened.',
    holds: 'always'
  },
  quiet: { law: 'Nothing is reported to `onerror`.', holds: 'while nothing fails' },
  left: {
    law: 'After the clients have left and the pods have closed, no timer and no subscription is left.',
    holds: 'always'
  }
} as const satisfies Record<string, Law>;

export type LawName = keyof typeof laws;

/** How a part of a history says that a law is broken. */
export type Violation = (law: LawName, text: string) => void;
