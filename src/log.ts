/** Receives messages for logs and metrics about work that no caller awaits. A message never contains a session id. */
export type OnLog = (level: 'debug' | 'info' | 'warn', message: string) => void;

/**
 * The application's log callback, safe to call from anywhere: it is called from listeners of connections and from work
 * that nobody awaits, where an error would end the process. So what it throws is dropped.
 */
export function logTo(onLog: OnLog | undefined): OnLog {
  return (level, message) => {
    try {
      onLog?.(level, message);
    } catch {
      // See above.
    }
  };
}

/** The message of anything that can be thrown, which need not be an Error. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === 'string' ? thrown : `a thrown ${thrown === null ? 'null' : typeof thrown}`;
}
