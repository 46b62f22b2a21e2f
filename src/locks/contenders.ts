import { clearTimeout, setTimeout } from '../timers.js';

/** How often the first waiting caller of a process asks for the lock: first after the minimum, then less often. */
const MIN_POLL_MS = 5;
const MAX_POLL_MS = 50;

interface Contender {
  readonly claim: object;
  pollMs: number;
  /** Called when the caller has a place in the store's queue, or has given up. */
  entered: () => void;
  /** Ends the pause, if there is one. */
  wake: (() => void) | undefined;
  woken: boolean;
}

/**
 * The callers of this process that want the same lock. Each has its own place in the store's queue, so no caller
 * overtakes another, in this process or any other. Only the first caller can be next. So only the first one asks often,
 * and only if no caller of this process holds the lock. When the holder releases the lock, the first caller is woken.
 * The others ask rarely, to keep their places.
 */
export class Contenders {
  readonly #waiting: Contender[] = [];
  readonly #onempty: () => void;
  #holder: object | undefined;
  /** Callers enter the queue one after the other: two requests on two connections could arrive in any order. */
  #entering: Promise<void> = Promise.resolve();

  constructor(onempty: () => void) {
    this.#onempty = onempty;
  }

  /** Settles when the caller may ask the store for a place. Call the returned function after that, success or not. */
  async enter(claim: object): Promise<() => void> {
    const contender: Contender = { claim, pollMs: MIN_POLL_MS, entered: () => {}, wake: undefined, woken: false };
    const entered = new Promise<void>(resolve => (contender.entered = resolve));
    this.#waiting.push(contender);
    const before = this.#entering;
    this.#entering = before.then(() => entered);
    await before;
    return contender.entered;
  }

  /** The caller holds the lock. */
  hold(claim: object): void {
    this.#remove(claim);
    this.#holder = claim;
  }

  /** The caller has released or lost the lock, or no longer waits. May be called twice. */
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

/** The contenders for one lock. Call `enter` synchronously after this: an empty group is dropped. */
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
