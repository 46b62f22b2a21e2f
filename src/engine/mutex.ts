const tails = new WeakMap<object, Map<string, Promise<void>>>();

/**
 * Runs `work` behind what runs under the same owner and key already, in this process. Who takes longer than `timeoutMs`
 * is waited for no more: something that never ends must not hold up the others for ever.
 */
export async function exclusively<T>(
  owner: object,
  key: string,
  timeoutMs: number,
  work: () => Promise<T>
): Promise<T> {
  const ofOwner = tails.get(owner) ?? new Map<string, Promise<void>>();
  tails.set(owner, ofOwner);
  const before = ofOwner.get(key);
  let finish!: () => void;
  const finished = new Promise<void>(resolve => (finish = resolve));
  ofOwner.set(key, finished);
  await before;
  const timer = setTimeout(finish, timeoutMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    finish();
    if (ofOwner.get(key) === finished) ofOwner.delete(key);
  }
}
