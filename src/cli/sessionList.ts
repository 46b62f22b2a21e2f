import type { SessionData, SessionStore } from '../ports/sessionStore.js';
import { Date } from '../timers.js';
import type { Values } from './command.js';
import { UsageError } from './usage.js';

/** Records that are read at the same time. */
const BATCH = 100;

/** A session of the store. Its record may be unreadable. */
export interface Listed {
  readonly id: string;
  readonly data: SessionData | undefined;
}

/** Which sessions a command is about. */
export interface Selector {
  readonly principal: string | undefined;
  readonly client: string | undefined;
  readonly namespace: string | undefined;
  readonly olderMs: number | undefined;
  readonly idleMs: number | undefined;
}

/** @throws UsageError */
export function selectorOf(values: Values): Selector {
  const text = (name: string): string | undefined => values[name] as string | undefined;
  return {
    principal: text('principal'),
    client: text('client'),
    namespace: text('namespace'),
    olderMs: duration('older', text('older')),
    idleMs: duration('idle', text('idle'))
  };
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** @throws UsageError */
export function duration(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return Number(count) * (UNITS[unit] as number);
  throw new UsageError(`--${option} takes a duration such as 30s, 10m, 2h or 1d`);
}

/** The sessions that fit, from the index, one after the other. Reads no more records than its reader takes. */
export async function* sessionsIn(store: SessionStore, selector: Selector): AsyncGenerator<Listed, void, undefined> {
  if (!store.listSessionIds) throw new UsageError('this store has no index of sessions');
  const { principal } = selector;
  for await (const ids of store.listSessionIds(principal === undefined ? {} : { principal })) {
    for (let i = 0; i < ids.length; i += BATCH) {
      const some = await Promise.all(ids.slice(i, i + BATCH).map(id => read(store, id)));
      for (const listed of some) if (listed && fits(listed, selector)) yield listed;
    }
  }
}

/** @returns undefined if the session does not exist */
export async function read(store: SessionStore, id: string): Promise<Listed | undefined> {
  try {
    const data = await store.getSession(id);
    return data ? { id, data } : undefined;
  } catch (error) {
    if ((error as { code?: string }).code !== 'ANYPOD_RECORD_UNREADABLE') throw error;
    return { id, data: undefined };
  }
}

function fits({ data }: Listed, { principal, client, namespace, olderMs, idleMs }: Selector): boolean {
  const mcp = data?.metadata?.mcp;
  const now = Date.now();
  // The index of a principal may be out of date.
  if (principal !== undefined && mcp?.principal !== principal) return false;
  if (client !== undefined && mcp?.initialize?.clientInfo?.name !== client) return false;
  if (namespace !== undefined && mcp?.namespace !== namespace) return false;
  if (olderMs !== undefined && !(data && now - data.createdAt >= olderMs)) return false;
  return idleMs === undefined || (data !== undefined && now - data.lastActivity >= idleMs);
}
