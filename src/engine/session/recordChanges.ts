import type { WaitBudget } from '../../deadline.js';
import { SessionStoreUnavailableError } from '../../errors.js';
import { MAX_SUBSCRIPTIONS, type SessionPatch } from '../../ports/sessionStore.js';
import type { OtherPods, SessionContext } from '../context.js';
import type { StoreAccess } from './storeAccess.js';

/** Changes that this pod made to a session's record. Created with the first change: most sessions have none. */
export class RecordChanges {
  readonly #sessionId: string;
  readonly #storeAccess: StoreAccess;
  readonly #context: SessionContext;
  readonly #otherPods: OtherPods;
  #count = 0;
  #underWay = 0;
  #refreshesAfter = false;
  /** Changes that were confirmed to the client while the store did not answer. */
  #unsaved: SessionPatch[] = [];

  constructor(sessionId: string, storeAccess: StoreAccess, context: SessionContext, otherPods: OtherPods) {
    this.#sessionId = sessionId;
    this.#storeAccess = storeAccess;
    this.#context = context;
    this.#otherPods = otherPods;
  }

  /** How many changes have begun or ended. A record may lack a change if this number changes while it is read. */
  get count(): number {
    return this.#count;
  }

  get areUnderWay(): boolean {
    return this.#underWay > 0;
  }

  get hasUnsaved(): boolean {
    return this.#unsaved.length > 0;
  }

  /** Makes the pod read the record again after the changes under way. */
  refreshAfter(): void {
    this.#refreshesAfter = true;
  }

  /** Stores a change. If the store does not answer, the change is kept for {@link saveUnsaved}. */
  async save(patch: SessionPatch, waits: WaitBudget | undefined): Promise<void> {
    if (await this.#store(patch, waits)) return;
    if (this.#unsaved.length < MAX_SUBSCRIPTIONS) this.#unsaved.push(patch);
  }

  /** Stores the changes that the store did not take before. */
  async saveUnsaved(waits: WaitBudget | undefined): Promise<void> {
    const patches = this.#unsaved;
    this.#unsaved = [];
    for (const [index, patch] of patches.entries()) {
      if (await this.#store(patch, waits)) continue;
      // One attempt for each exchange: the store still does not answer, and the client waits.
      this.#unsaved = [...patches.slice(index), ...this.#unsaved];
      return;
    }
  }

  /** @returns false if the store did not answer; that has been reported */
  async #store(patch: SessionPatch, waits: WaitBudget | undefined): Promise<boolean> {
    this.#count++;
    this.#underWay++;
    try {
      await this.#storeAccess.patch(this.#sessionId, patch, waits);
      await this.#otherPods.changed(waits);
      return true;
    } catch (error) {
      this.#context.report(error as Error);
      return !(error instanceof SessionStoreUnavailableError);
    } finally {
      this.#count++;
      this.#underWay--;
      if (this.#refreshesAfter && this.#underWay === 0) {
        this.#refreshesAfter = false;
        void this.#context.refresh().catch(this.#context.report);
      }
    }
  }
}
