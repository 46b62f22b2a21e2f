/** Receives messages for logs and metrics about work that no caller awaits. A message never contains a session id. */
export type OnLog = (level: 'debug' | 'info' | 'warn', message: string) => void;

/**
 * The application's log callback, safe to call from anywhere. Errors that it throws are dropped: listeners of
 * connections and work without an awaiting caller call it, and there an error would end the process.
 */
export function logTo(onLog: OnLog | undefined): OnLog {
  return (level, message) => {
    try {
      onLog?.(level, message);
    } catch {
      // Dropped: see above.
    }
  };
}

/** The message of any thrown value. It does not have to be an Error. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === 'string' ? thrown : `a thrown ${thrown === null ? 'null' : typeof thrown}`;
}
