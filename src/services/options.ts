import {
  checkBoolean,
  checkFunction,
  checkNumber,
  checkOneOf,
  checkOptionNames,
  checkOptionsObject,
  checkString
} from '../validate.js';
import { performance } from '../timers.js';

export const STORAGE_TYPES = ['redis', 'postgres', 'file', 'memory'] as const;
/** Where sessions are kept. */
export type StorageType = (typeof STORAGE_TYPES)[number];

/** The options of `createSessionServices` and `createSessionStore`: which backend holds the sessions, and how. */
export interface SessionServicesOptions {
  /** `redis://` or `rediss://`, with `user:password@` where needed. @default `REDIS_URL`, or 'redis://localhost:6379' */
  redisUrl?: string;
  /** Put before every key and channel. @default 'mcp:session:' */
  prefix?: string;
  /** Seconds that a session lives without activity. @default 3600 */
  defaultTtl?: number;
  /** Milliseconds that who locks a session waits for it, as `lockTimeoutMs` of what is returned. @default 30000 */
  lockTimeout?: number;
  /** Keeps sessions in this process, and looks for no backend. @default false */
  preferMemory?: boolean;
  /** What to do without the backend, also in production and where the environment names one. @default to throw there */
  fallback?: 'memory';
  /** Milliseconds that the backend may take to answer for the first time. @default 2000 */
  connectTimeout?: number;
  /** Tells also which backend was chosen and what happens to sessions, not warnings alone. @default false */
  verbose?: boolean;
  /** Told of warnings. @default `process.emitWarning` */
  onLog?: (level: 'debug' | 'info' | 'warn', message: string) => void;
  /** Where the backend is named. @default process.env */
  env?: Readonly<Record<string, string | undefined>>;
}

export type Log = NonNullable<SessionServicesOptions['onLog']>;

/** What a backend is opened with. */
export interface BackendOptions {
  readonly keyPrefix: string | undefined;
  readonly ttlSeconds: number | undefined;
  readonly connectTimeoutMs: number;
  readonly onLog: Log;
}

const MAX_TTL_SECONDS = 1_000_000_000;

/** All options; the type keeps the list complete. */
const SERVICES_OPTION_NAMES: Readonly<Record<keyof SessionServicesOptions, true>> = {
  redisUrl: true,
  prefix: true,
  defaultTtl: true,
  lockTimeout: true,
  preferMemory: true,
  fallback: true,
  connectTimeout: true,
  verbose: true,
  onLog: true,
  env: true
};

/** @throws InvalidOptionError */
export function checkServicesOptions(options: SessionServicesOptions): void {
  checkOptionsObject('options', options);
  checkOptionNames(options, SERVICES_OPTION_NAMES);
  checkString('redisUrl', options.redisUrl);
  checkString('prefix', options.prefix);
  checkNumber('defaultTtl', options.defaultTtl, { min: 1, max: MAX_TTL_SECONDS, integer: true });
  checkNumber('lockTimeout', options.lockTimeout, { min: 1 });
  checkBoolean('preferMemory', options.preferMemory);
  checkOneOf('fallback', options.fallback, ['memory']);
  checkNumber('connectTimeout', options.connectTimeout, { min: 1 });
  checkBoolean('verbose', options.verbose);
  checkFunction('onLog', options.onLog);
  if (options.env !== undefined) checkOptionsObject('env', options.env);
}

export function environmentOf(options: SessionServicesOptions): Readonly<Record<string, string | undefined>> {
  return options.env ?? globalThis.process?.env ?? {};
}

export function logOf({ verbose, onLog = emitWarning }: SessionServicesOptions): Log {
  return (level, message) => {
    if (verbose || level === 'warn') onLog(level, message);
  };
}

const REPEAT_AFTER_MS = 60_000;
const emitted = new Map<string, number>();

/** What repeats itself, as an outage does, once a minute. */
function emitWarning(_level: string, message: string): void {
  const now = performance.now();
  for (const [text, time] of emitted) if (now - time > REPEAT_AFTER_MS) emitted.delete(text);
  if (emitted.has(message)) return;
  emitted.set(message, now);
  globalThis.process?.emitWarning?.(message, { type: 'McpSessionStorageWarning' });
}
