/** How often the first in line of a process asks whether the lock is free: soon at first, then less often. */
const MIN_POLL_MS = 5;
const MAX_POLL_MS = 50;

interface Contender {
  readonly claim: object;
  pollMs: number;
  /** Its place at the store is taken, or given up. */
  entered: () => void;
  /** Wakes it from its pause, if it is in one. */
  wake: (() => void) | undefined;
  woken: boolean;
}

/**
 * Those of this process who want one lock of a store. Each has a place of its own in the store's queue, so that nobody
 * is overtaken, in this process or another. But only the first of them can be next, so it alone asks often, and only
 * while none of them holds the lock: when that one lets go, the first is woken. The others ask to keep their places.
 */
export class Contenders {
  readonly #waiting: Contender[] = [];
  readonly #onempty: () => void;
  #holder: object | undefined;
  /** Places are taken one after the other: a store with several connections might hear two at once in any order. */
  #entering: Promise<void> = Promise.resolve();

  constructor(onempty: () => void) {
    this.#onempty = onempty;
  }

  /** @returns when it is this one's turn to take a place; call what is returned when that has been done, or has failed */
  async enter(claim: object): Promise<() => void> {
    const contender: Contender = { claim, pollMs: MIN_POLL_MS, entered: () => {}, wake: undefined, woken: false };
    const entered = new Promise<void>(resolve => (contender.entered = resolve));
    this.#waiting.push(contender);
    const before = this.#entering;
    this.#entering = before.then(() => entered);
    await before;
    return contender.entered;
  }

  /** This one has the lock. */
  hold(claim: object): void {
    this.#remove(claim);
    this.#holder = claim;
  }

  /** This one has let go of the lock, or lost it, or waits no more. May be called twice. */
  leave(claim: object): void {
    const removed = this.#remove(claim);
    removed?.entered();
    removed?.wake?.();
    if (this.#holder === claim) this.#holder = undefined;
    const first = this.#waiting[0];
    if (!first) {
      if (!this.#holder) this.#onempty();
      return;
    }
    if (this.#holder) return;
    first.woken = true;
    first.wake?.();
  }

  /** Settles when it is time to ask the store again. */
  async pause(claim: object, leaseMs: number): Promise<void> {
    const contender = this.#waiting.find(each => each.claim === claim);
    if (!contender) return;
    if (!contender.woken) {
      const mayBeNext = !this.#holder && this.#waiting[0] === contender;
      const keepMs = leaseMs / 3;
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, mayBeNext ? Math.min(contender.pollMs, keepMs) : keepMs);
        contender.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      contender.wake = undefined;
      if (mayBeNext) contender.pollMs = Math.min(contender.pollMs * 1.5, MAX_POLL_MS);
    }
    if (contender.woken) contender.pollMs = MIN_POLL_MS;
    contender.woken = false;
  }

  #remove(claim: object): Contender | undefined {
    const index = this.#waiting.findIndex(each => each.claim === claim);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
  }
}

const all = new WeakMap<object, Map<string, Contenders>>();

/** Enter them in the same step: what nobody is in is dropped. */
export function contendersFor(store: object, sessionId: string): Contenders {
  const ofStore = all.get(store) ?? new Map<string, Contenders>();
  all.set(store, ofStore);
  let contenders = ofStore.get(sessionId);
  if (!contenders) {
    contenders = new Contenders(() => {
      if (ofStore.get(sessionId) === contenders) ofStore.delete(sessionId);
    });
    ofStore.set(sessionId, contenders);
  }
  return contenders;
}
