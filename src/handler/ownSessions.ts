import type { ResolvedOptions } from '../engine/options.js';
import { isInNamespace } from '../engine/session/principal.js';

/**
 * Whether a session that is not live on this pod may belong to this server: an index or the application may name a
 * session of another server on the same store. Asks the store only if the server has a `namespace`.
 * @throws SessionStoreUnavailableError
 */
export async function isOwnSession(
  sessionId: string,
  { storeAccess, namespace }: Pick<ResolvedOptions, 'storeAccess' | 'namespace'>
): Promise<boolean> {
  if (!storeAccess || namespace === undefined) return true;
  const record = await storeAccess.read(sessionId);
  return record === null || isInNamespace(record.metadata?.mcp, namespace);
}
