import type { Content } from './versionedFile.js';

/** A holder of a session's lock, or a waiter for it. */
export interface Contender {
  readonly token: string;
  /** When the lease, or the place in the queue, expires: epoch milliseconds. */
  readonly until: number;
  /** The first waiter does not hold the lock yet: its process may have died. */
  readonly holds: boolean;
}

/** The holder and the waiters, in the order of arrival. */
export type Queue = readonly Contender[];

export function current(content: Content | undefined, now: number): Queue {
  return ((content?.contenders ?? []) as Contender[]).filter(({ until }) => until > now);
}

export function holder(queue: Queue): string | undefined {
  return queue[0]?.holds ? queue[0].token : undefined;
}

/** Adds the token at the end if it has no place. If the token is first, it holds the lock from now on. */
export function enter(queue: Queue, token: string, until: number): Queue {
  const known = queue.some(contender => contender.token === token);
  const places = known ? queue : [...queue, { token, until, holds: false }];
  return places.map((place, index) => (place.token === token ? { token, until, holds: index === 0 } : place));
}

export function leave(queue: Queue, token: string): Queue {
  return queue.filter(contender => contender.token !== token);
}

export function isQueue(content: Content): boolean {
  const { contenders } = content;
  return (
    Array.isArray(contenders) &&
    contenders.every(
      (contender: Partial<Contender> | null) =>
        typeof contender?.token === 'string' &&
        typeof contender.until === 'number' &&
        typeof contender.holds === 'boolean'
    )
  );
}
