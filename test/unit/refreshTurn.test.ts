import type { StoredClientSession } from '../../src/clientSessions/record.js';
import { takeRefreshTurn } from '../../src/clientSessions/refreshTurn.js';
import { useGlobalTimers } from '../support/useGlobalTimers.js';

type Step = Parameters<Parameters<typeof takeRefreshTurn>[0]>[0];

describe('the turn at a refresh token', () => {
  let stored: StoredClientSession;
  let restoreTimers: () => void;
  const change = async (step: Step): Promise<StoredClientSession> =>
    (stored = { ...stored, ...step(stored) } as StoredClientSession);

  beforeEach(() => {
    jest.useFakeTimers();
    restoreTimers = useGlobalTimers();
    const session = { sessionId: 'a', identity: 'alice', serverUrl: 'https://x', active: true, createdAt: 1 };
    stored = { v: 1, session: { ...session, transportType: 'sse' }, oauth: {} };
  });
  afterEach(() => {
    restoreTimers();
    jest.useRealTimers();
  });

  test('is given to one caller at a time', async () => {
    const { id } = await takeRefreshTurn(change);
    expect(stored.oauth.refreshing).toBe(id);
    const next = takeRefreshTurn(change);
    await jest.advanceTimersByTimeAsync(5000);
    expect(stored.oauth.refreshing).toBe(id);
    stored = { ...stored, oauth: {} };
    await jest.advanceTimersByTimeAsync(100);
    expect((await next).id).toBe(stored.oauth.refreshing);
    expect((await next).id).not.toBe(id);
  });

  test('is taken from a holder that does not return for ten seconds, and from no other', async () => {
    stored.oauth.refreshing = 'dies';
    let isTaken = false;
    const taken = takeRefreshTurn(change).then(turn => {
      isTaken = true;
      return turn;
    });
    await jest.advanceTimersByTimeAsync(6000);
    stored = { ...stored, oauth: { refreshing: 'dies, too' } };
    await jest.advanceTimersByTimeAsync(6000);
    expect(isTaken).toBe(false);
    await jest.advanceTimersByTimeAsync(5000);
    expect((await taken).id).toBe(stored.oauth.refreshing);
  });
});
