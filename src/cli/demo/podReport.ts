import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { OnLogEvent } from '../../events/podEvents.js';
import type { BusEvent, CallEvent } from '../../events/payloads.js';

/** What a pod tells the web page. */
export type PodReport =
  /** A session or a stream of the pod, named as in `onLog`. */
  | { type: 'session'; pod: string; event: string; session: string | undefined; detail: string }
  /** A call to the store that has ended. `exchange`: the request that needed it, if known. */
  | { type: 'store'; pod: string; call: string; exchange: string | undefined; ok: boolean }
  /** A message to other pods, or one from another pod. */
  | { type: 'bus'; pod: string; direction: 'in' | 'out'; kind: string; session: string };

export type Reporter = (report: PodReport) => void;

/** The pod and the exchange in which the code runs: several pods may share this process. */
export interface Place {
  pod: string;
  exchange: string | undefined;
}

const places = new AsyncLocalStorage<Place>();

/** Runs an exchange so that its calls to the store can be attributed. */
export function within<T>(place: Place, run: () => T): T {
  return places.run(place, run);
}

/** For the `onLog` of a pod's handler. */
export function reportSessions(pod: string, report: Reporter): OnLogEvent {
  return (_level, event, fields) => {
    const { session, durationMs, replayed } = fields;
    const duration = typeof durationMs === 'number' ? `in ${Math.round(durationMs)} ms` : '';
    const detail = typeof replayed === 'number' ? `with ${replayed} missed events` : duration;
    report({ type: 'session', pod, event, session: typeof session === 'string' ? session : undefined, detail });
  };
}

/**
 * Reports the calls to the store and the messages between pods.
 * @param pod - the only pod of this process. Undefined if there are several: then only their own exchanges are reported
 */
export function reportCalls(pod: string | undefined, report: Reporter): void {
  subscribe('mcp-anypod:store', payload => {
    const { type, call, outcome } = payload as CallEvent;
    const place = places.getStore();
    const name = place?.pod ?? pod;
    if (type !== 'call' || name === undefined) return;
    report({ type: 'store', pod: name, call, exchange: place?.exchange, ok: outcome === 'ok' });
  });
  subscribe('mcp-anypod:bus', payload => {
    const message = payload as BusEvent;
    if (message.type !== 'message' || message.phase !== 'end') return;
    const { direction, kind, session } = message;
    // A message that arrives runs in the context of its sender, if both are in this process.
    const name = pod ?? (direction === 'out' ? places.getStore()?.pod : undefined);
    if (name !== undefined) report({ type: 'bus', pod: name, direction, kind, session });
  });
}
