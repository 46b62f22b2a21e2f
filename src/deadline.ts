/** A process that stood still finds its timers due before it has read what came meanwhile: this is to read it. */
const GRACE_MS = 20;

/**
 * The result of `start()`, or a rejection with `onLate()` when it has not settled within `timeoutMs`.
 * What was started goes on; its late result is dropped.
 */
export async function withDeadline<T>(
  start: () => Promise<T>,
  timeoutMs: number,
  onLate = () => new Error(`no answer within ${timeoutMs} ms`)
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => (timer = setTimeout(() => reject(onLate()), GRACE_MS)), timeoutMs);
  });
  try {
    return await Promise.race([start(), late]);
  } finally {
    clearTimeout(timer);
  }
}
