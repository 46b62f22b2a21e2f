import { clearTimeout, setTimeout } from '../../timers.js';

const lastWork = new WeakMap<object, Map<string, Promise<void>>>();

/**
 * Runs `work` after all earlier work with the same owner and key in this process. After `timeoutMs` the next work
 * starts anyway: work that never ends must not block the others.
 * @param work - gets a function that returns true after the timeout. Then it must not write, because other work may be
 *   running
 */
export async function exclusively<T>(
  owner: object,
  key: string,
  timeoutMs: number,
  work: (isLate: () => boolean) => Promise<T>
): Promise<T> {
  const lastByKey = lastWork.get(owner) ?? new Map<string, Promise<void>>();
  lastWork.set(owner, lastByKey);
  const before = lastByKey.get(key);
  let finish!: () => void;
  const finished = new Promise<void>(resolve => (finish = resolve));
  lastByKey.set(key, finished);
  await before;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    finish();
  }, timeoutMs);
  try {
    return await work(() => isLate);
  } finally {
    clearTimeout(timer);
    finish();
    if (lastByKey.get(key) === finished) lastByKey.delete(key);
  }
}
