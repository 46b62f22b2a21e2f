import { SessionRecordUnreadableError } from '../../errors.js';
import type { SessionData, SessionStateEntry } from '../../ports/sessionStore.js';
import type { Content, Version } from './versionedFile.js';
import { Date } from '../../timers.js';

/** How long a deleted session's id stays refused, so that a write concurrent with the deletion does not restore it. */
export const TOMBSTONE_MS = 60_000;

/** The content of a session's file: its record, or a note that it was deleted. */
export type SessionContent = (
  { session: SessionData; /** Tells sessions with the same id apart. */ incarnation: string } | { deletedAt: number }
) &
  Content;

export interface LiveSession {
  readonly version: Version;
  readonly data: SessionData;
  readonly incarnation: string;
}

export function isSessionContent(content: Content): boolean {
  if (typeof content.deletedAt === 'number') return true;
  const { session, incarnation } = content;
  return (
    typeof incarnation === 'string' &&
    typeof session === 'object' &&
    session !== null &&
    typeof (session as Partial<SessionData>).sessionId === 'string'
  );
}

export function isExpired({ touchedAt }: Version, ttlSeconds: number, now = Date.now()): boolean {
  return now - touchedAt >= ttlSeconds * 1000;
}

/**
 * The session in a version; undefined if it has none, or no longer.
 * @throws SessionRecordUnreadableError
 */
export function liveSession(
  version: Version | undefined,
  sessionId: string,
  ttlSeconds: number
): LiveSession | undefined {
  if (!version || isExpired(version, ttlSeconds)) return undefined;
  if (version.problem !== undefined) {
    throw new SessionRecordUnreadableError(`The record of a session cannot be read: ${version.problem}`);
  }
  const { session, incarnation } = version.content as { session?: SessionData; incarnation: string };
  if (!session) return undefined;
  if (session.sessionId !== sessionId) {
    throw new SessionRecordUnreadableError(`${version.path} is of another session than its directory`);
  }
  const lastActivity = Math.round(version.touchedAt);
  return { version, incarnation, data: { ...session, lastActivity, revision: version.number } };
}

/** Whether a session may be created if this is the newest version. */
export function isFree(version: Version | undefined, sessionId: string, ttlSeconds: number): boolean {
  if (liveSession(version, sessionId, ttlSeconds)) return false;
  return !version || !isTombstone(version) || isExpired(version, TOMBSTONE_MS / 1000);
}

/** Whether the session is no longer needed, with a margin for writes of a slow process. */
export function isSessionOver(version: Version | undefined, ttlSeconds: number): boolean {
  // An unreadable file is kept for an operator to examine.
  if (!version?.content) return false;
  const seconds = isTombstone(version) ? 0 : ttlSeconds;
  return isExpired(version, seconds + TOMBSTONE_MS / 1000);
}

function isTombstone(version: Version): boolean {
  return version.content?.deletedAt !== undefined;
}

/** The stored form: the store sets the revision, and the file's own time is the last activity. */
export function contentOf(data: SessionData, incarnation: string): SessionContent {
  // An undefined field is not written.
  return { session: { ...data, lastActivity: Date.now(), revision: undefined }, incarnation };
}

export function isStateContent({ incarnation, version, value }: Content): boolean {
  const isValue = value === null || typeof value === 'string';
  return typeof incarnation === 'string' && typeof version === 'number' && isValue;
}

/**
 * The state of a session. The state of an earlier session with the same id is ignored.
 * @throws SessionRecordUnreadableError
 */
export function stateOf(state: Version | undefined, { incarnation }: LiveSession): SessionStateEntry {
  if (state?.problem !== undefined) {
    throw new SessionRecordUnreadableError(`The state of a session cannot be read: ${state.problem}`);
  }
  if (state?.content?.incarnation !== incarnation) return { value: null, version: 0 };
  return { value: state.content.value as string | null, version: state.content.version as number };
}
