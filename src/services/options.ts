import {
  checkBoolean,
  checkFunction,
  checkNumber,
  checkOneOf,
  checkOptionNames,
  checkOptionsObject,
  checkString
} from '../validate.js';
import { processWarning } from '../runtime.js';
import { performance } from '../timers.js';

export const STORAGE_TYPES = ['redis', 'postgres', 'file', 'memory'] as const;
/** Other names of a type. */
export const STORAGE_ALIASES: Readonly<Record<string, StorageType>> = { postgresql: 'postgres' };
/** Where sessions are kept. */
export type StorageType = (typeof STORAGE_TYPES)[number];

/** The options of `createSessionServices` and `createSessionStore`. */
export interface SessionServicesOptions {
  /** `redis://` or `rediss://`, with `user:password@` if needed. @default `REDIS_URL`, or 'redis://localhost:6379' */
  redisUrl?: string;
  /** The prefix of every key and channel. @default 'mcp:session:' */
  prefix?: string;
  /** Seconds that a session lives without activity. @default 3600 */
  defaultTtl?: number;
  /** How long to wait for a session's lock, in milliseconds. Returned as `lockTimeoutMs`. @default 30000 */
  lockTimeout?: number;
  /** Keeps sessions in this process and does not look for a backend. @default false */
  preferMemory?: boolean;
  /**
   * `'memory'`: use memory if the backend is unavailable, also in production or if the environment names it. @default
   * to throw
   */
  fallback?: 'memory';
  /** How long the backend may take to answer for the first time, in milliseconds. @default 2000 */
  connectTimeout?: number;
  /** Also logs the chosen backend and events of sessions, not only warnings. @default false */
  verbose?: boolean;
  /** Receives log messages. @default `process.emitWarning` for warnings, standard error for the others (`verbose`) */
  onLog?: (level: 'debug' | 'info' | 'warn', message: string) => void;
  /** The variables that name the backend. @default process.env */
  env?: Readonly<Record<string, string | undefined>>;
}

export type Log = NonNullable<SessionServicesOptions['onLog']>;

/** The options for opening a backend. */
export interface BackendOptions {
  readonly keyPrefix: string | undefined;
  /** The table of sessions in Postgres. @default that of the transport's sessions */
  readonly table?: string | undefined;
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

export function logOf({ verbose, onLog = emit }: SessionServicesOptions): Log {
  return (level, message) => {
    if (verbose || level === 'warn') onLog(level, message);
  };
}

const REPEAT_AFTER_MS = 60_000;
const emitted = new Map<string, number>();

/** Emits a repeated warning, for example about an outage, at most once a minute. Information is not a warning. */
function emit(level: string, message: string): void {
  if (level !== 'warn') return void globalThis.process?.stderr?.write?.(`mcp-sdk-anypod: ${message}\n`);
  const now = performance.now();
  for (const [text, time] of emitted) if (now - time > REPEAT_AFTER_MS) emitted.delete(text);
  if (emitted.has(message)) return;
  emitted.set(message, now);
  processWarning(message, { type: 'McpSessionStorageWarning' });
}
