import { subscribe } from 'node:diagnostics_channel';
import type { EndedBy, RecoveryCause, RefusalReason, SessionEvent, StreamEvent } from 'mcp-sdk-anypod';

type ForgottenCause = Extract<SessionEvent, { type: 'forgotten' }>['cause'];
type Pod = 'this-pod' | 'other-pod';

/** What may happen to a session or a stream. The compiler requires each type and each reason of the events. */
const STATES: Record<SessionEvent['type'] | StreamEvent['type'], Record<string, true>> = {
  created: { '': true },
  recovered: { forgotten: true, 'before-start': true, 'other-pod': true } satisfies Record<RecoveryCause, true>,
  forgotten: { idle: true, capacity: true, closed: true } satisfies Record<ForgottenCause, true>,
  ended: { client: true, application: true, 'other-pod': true, discarded: true } satisfies Record<EndedBy, true>,
  expired: { '': true },
  refused: {
    'not-found': true,
    'other-owner': true,
    'store-unavailable': true,
    'record-unreadable': true,
    'bus-unavailable': true,
    'pod-full': true,
    draining: true,
    'left-pod': true,
    'open-rate': true,
    'session-limit': true,
    'handshake-too-large': true,
    'stream-conflict': true
  } satisfies Record<RefusalReason, true>,
  drained: { 'with all answers': true, 'without an answer': true },
  opened: { request: true, standalone: true },
  closed: { request: true, standalone: true },
  'taken-over': { 'this-pod': true, 'other-pod': true } satisfies Record<Pod, true>,
  resumed: { 'this-pod': true, 'other-pod': true } satisfies Record<Pod, true>,
  'owner-gone': { '': true }
};

/** Counts the states that the engines of all pods reach, by the events that they publish. */
export class Coverage {
  readonly #counts = new Map<string, number>();

  constructor() {
    for (const [type, reasons] of Object.entries(STATES)) {
      for (const reason of Object.keys(reasons)) this.#counts.set(stateOf(type, reason), 0);
    }
    for (const channel of ['mcp-anypod:session', 'mcp-anypod:stream']) {
      subscribe(channel, event => this.#count(event as SessionEvent | StreamEvent));
    }
  }

  /** The states that were reached and how often, and those that were not. */
  toString(): string {
    const [reached, missed] = [true, false].map(isReached =>
      [...this.#counts].filter(([, count]) => count > 0 === isReached)
    ) as [[string, number][], [string, number][]];
    const list = reached.map(([state, count]) => `${state} ${count}`).join(', ');
    return `${reached.length} of ${this.#counts.size} states: ${list}\nNot reached: ${missed.map(([state]) => state).join(', ') || 'none'}`;
  }

  #count(event: SessionEvent | StreamEvent): void {
    const state = stateOf(event.type, reasonOf(event));
    this.#counts.set(state, (this.#counts.get(state) ?? 0) + 1);
  }
}

function stateOf(type: string, reason: string): string {
  return reason === '' ? type : `${type} (${reason})`;
}

function reasonOf(event: SessionEvent | StreamEvent): string {
  switch (event.type) {
    case 'recovered':
    case 'forgotten':
      return event.cause;
    case 'ended':
    case 'taken-over':
      return event.by;
    case 'refused':
      return event.reason;
    case 'drained':
      return event.unfinished === 0 ? 'with all answers' : 'without an answer';
    case 'opened':
    case 'closed':
      return event.kind;
    case 'resumed':
      return event.owner;
    default:
      return '';
  }
}
