import { parseUrl } from '../services/backendUrl.js';
import { type Selection, selectStorage } from '../services/selectStorage.js';
import type { Values } from './command.js';
import type { Streams } from './terminal.js';
import { UsageError } from './usage.js';

/** The backend that the command line or the environment names. */
export interface StorageOptions {
  readonly selection: Selection;
  readonly prefix: string | undefined;
  readonly sentinel: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly timeoutMs: number;
  /** The `ttlSeconds` of the pods' store. */
  readonly ttlSeconds: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 5000;
const FORM = 'redis://host:port, rediss://host:port, postgres://user@host/database or file:/path';

/** @throws UsageError, InvalidOptionError */
export function storageOptions(values: Values, env: Streams['env']): StorageOptions {
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const url = text('url');
  const selection = url === undefined ? selectStorage({ env }) : selected(url);
  if (selection.type === 'memory') {
    throw new UsageError(
      `${selection.by} is memory: each pod keeps its own sessions, and there is no backend to look at. Give --url`
    );
  }
  const timeoutMs = milliseconds('timeout', text('timeout'), DEFAULT_TIMEOUT_MS);
  const [prefix, sentinel, schema, table] = ['prefix', 'sentinel', 'schema', 'table'].map(text);
  const ttl = text('ttl');
  const ttlSeconds = ttl === undefined ? undefined : Number(ttl);
  if (ttlSeconds !== undefined && !(Number.isInteger(ttlSeconds) && ttlSeconds > 0)) {
    throw new UsageError('--ttl takes a whole number of seconds');
  }
  return { selection, prefix, sentinel, schema, table, timeoutMs, ttlSeconds };
}

/** @throws UsageError if it is not a positive number of milliseconds */
export function milliseconds(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const ms = Number(text);
  if (Number.isFinite(ms) && ms > 0 && ms < 2 ** 31) return ms;
  throw new UsageError(`--${option} takes a number of milliseconds above 0`);
}

/** @throws InvalidOptionError */
function selected(text: string): Selection {
  const types = {
    redis: 'redis',
    rediss: 'redis',
    postgres: 'postgres',
    postgresql: 'postgres',
    file: 'file'
  } as const;
  let type: Selection['type'] | undefined;
  parseUrl('--url', text, FORM, ({ protocol }) => {
    const name = protocol.slice(0, -1);
    type = Object.hasOwn(types, name) ? types[name as keyof typeof types] : undefined;
    return type !== undefined;
  });
  const address = type === 'file' ? text.slice('file:'.length).replace(/^\/\/(localhost)?(?=\/)/, '') : text;
  if (type === undefined || address === '') throw new UsageError(`--url takes ${FORM}`);
  return { type, address: type === 'file' ? decodeURI(address) : address, by: '--url', named: true };
}
