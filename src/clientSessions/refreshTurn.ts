import { pause } from '../deadline.js';
import type { ClientSession, StoredClientSession } from './record.js';
import { performance } from '../timers.js';

/** A token request that takes longer counts as failed. Each waiting caller measures this with its own clock. */
const TURN_MS = 10_000;
const ASK_AGAIN_MS = 50;

type Change = (
  step: (stored: StoredClientSession) => Omit<StoredClientSession, 'v'> | undefined
) => Promise<StoredClientSession>;

/**
 * Waits until no other caller uses the refresh token. Authorization servers replace a refresh token when it is used,
 * and many end the whole grant when the old one is used again (RFC 9700 section 4.14.2): pods that refresh at the same
 * time would log their user out.
 * @returns the turn and the current session. The turn ends when it is removed from the session
 */
export async function takeRefreshTurn(change: Change): Promise<{ id: string; session: ClientSession }> {
  const id = globalThis.crypto.randomUUID();
  let holder: string | undefined;
  let since = 0;
  for (;;) {
    const isDead = (other: string): boolean => other === holder && performance.now() - since > TURN_MS;
    const { session, oauth } = await change(({ session, oauth }) =>
      oauth.refreshing === undefined || isDead(oauth.refreshing)
        ? { session, oauth: { ...oauth, refreshing: id } }
        : undefined
    );
    if (oauth.refreshing === id) return { id, session };
    if (oauth.refreshing !== holder) {
      holder = oauth.refreshing;
      since = performance.now();
    }
    await pause(ASK_AGAIN_MS);
  }
}
