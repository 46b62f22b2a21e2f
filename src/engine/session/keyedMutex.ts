import { clearTimeout, setTimeout } from '../../timers.js';

const tails = new WeakMap<object, Map<string, Promise<void>>>();

/**
 * Runs `work` behind what runs under the same owner and key already, in this process. Who takes longer than `timeoutMs`
 * is waited for no more: something that never ends must not hold up the others for ever.
 * @param work - is given a way to see that it is waited for no more, so that it can leave alone what is the others' now
 */
export async function exclusively<T>(
  owner: object,
  key: string,
  timeoutMs: number,
  work: (isLate: () => boolean) => Promise<T>
): Promise<T> {
  const ofOwner = tails.get(owner) ?? new Map<string, Promise<void>>();
  tails.set(owner, ofOwner);
  const before = ofOwner.get(key);
  let finish!: () => void;
  const finished = new Promise<void>(resolve => (finish = resolve));
  ofOwner.set(key, finished);
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
    if (ofOwner.get(key) === finished) ofOwner.delete(key);
  }
}
