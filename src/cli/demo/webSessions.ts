type Origin = 'opened' | 'recovered';

/** Which pods have which sessions live, and how they got them. Sessions are named by their fingerprints. */
export class LiveSessions {
  readonly #pods = new Map<string, Map<string, Origin>>();

  /** @param event - as in `onLog` */
  note(pod: string, event: string, session: string): void {
    if (event === 'session-created') return this.#set(session, pod, 'opened');
    if (event === 'session-recovered') return this.#set(session, pod, 'recovered');
    if (event !== 'session-ended' && event !== 'session-expired' && event !== 'session-forgotten') return;
    const pods = this.#pods.get(session);
    pods?.delete(pod);
    if (pods?.size === 0) this.#pods.delete(session);
  }

  /** The pod is gone. */
  drop(pod: string): void {
    for (const [session, pods] of this.#pods) {
      pods.delete(pod);
      if (pods.size === 0) this.#pods.delete(session);
    }
  }

  /** @returns undefined if the session is not live on the pod */
  on(pod: string, session: string): Origin | undefined {
    return this.#pods.get(session)?.get(pod);
  }

  #set(session: string, pod: string, origin: Origin): void {
    const pods = this.#pods.get(session) ?? new Map<string, Origin>();
    this.#pods.set(session, pods.set(pod, origin));
  }
}
