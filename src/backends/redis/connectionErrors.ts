import { reasonOf } from '../../anypodError.js';
import { builtInModule } from '../../runtime.js';
import { performance } from '../../timers.js';

/** A client tries to connect again more often than this. An older error is not the reason of a failure. */
const RECENT_MS = 10_000;

interface Emitter {
  on(event: string | symbol, listener: (error?: unknown) => void): unknown;
}

type Events = { readonly errorMonitor: symbol };

/** The last error of each client's connection, by the client. Absent while it is connected. */
const errors = new WeakMap<object, { reason?: string; at: number }>();

/**
 * Remembers why a client cannot connect. While it tries again, it holds commands back, so that their errors only state
 * that they were late. The application's listeners stay as they are: an `error` event without a listener is still
 * printed, or ends the process.
 */
export function watchConnection(client: object): void {
  if (errors.has(client)) return;
  const last: { reason?: string; at: number } = { at: 0 };
  errors.set(client, last);
  const note = (error: unknown): void => {
    last.reason = reasonOf(error);
    last.at = performance.now();
  };
  const emitter = client as Emitter;
  const errorMonitor = monitorOf();
  if (typeof emitter.on !== 'function') return;
  if (errorMonitor) emitter.on(errorMonitor, note);
  // Of an ioredis Cluster.
  emitter.on('node error', note);
  emitter.on('ready', () => (last.reason = undefined));
}

/** Why the client's connection failed last, if that was a moment ago: a code such as `ECONNREFUSED`. */
export function connectionProblem(client: object): string | undefined {
  const last = errors.get(client);
  return last && performance.now() - last.at < RECENT_MS ? last.reason : undefined;
}

/** Listeners of this event see errors without handling them. */
function monitorOf(): symbol | undefined {
  return builtInModule<Events>('node:events')?.errorMonitor;
}
