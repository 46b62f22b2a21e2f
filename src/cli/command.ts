import type { ParseArgsConfig } from 'node:util';
import type { Paint, Streams } from './terminal.js';

/** The values of a command's options, by name. */
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** What a command gets. */
export interface Invocation {
  readonly values: Values;
  readonly positionals: readonly string[];
  readonly streams: Streams;
  readonly paint: Paint;
  /** Whether `--json` was given. */
  readonly json: boolean;
  /** Writes a line to stdout. */
  readonly print: (line: string) => void;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/** One command of the program. */
export interface Command {
  /** Everything that `--help` shows. */
  readonly help: string;
  readonly options: NonNullable<ParseArgsConfig['options']>;
  /** @returns the exit code */
  run(invocation: Invocation): Promise<number>;
}

/** The options that name the backend. */
export const BACKEND_OPTIONS = {
  url: { type: 'string' },
  prefix: { type: 'string' },
  schema: { type: 'string' },
  table: { type: 'string' },
  sentinel: { type: 'string' },
  timeout: { type: 'string' }
} as const satisfies Command['options'];

export const COMMON_OPTIONS = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;

export const BACKEND_HELP = `Backend (else the environment, as createSessionServices reads it: MCP_TS_STORAGE_TYPE, REDIS_URL,
DATABASE_URL, MCP_TS_STORAGE_FILE, or a Redis on localhost:6379):
  --url URL          redis://host:6379, rediss://…, postgres://…, or file:/path/to/the/directory
  --prefix TEXT      prefix of every key in Redis (default mcp:session:)
  --sentinel NAME    --url names a Sentinel; use the master with this name
  --schema NAME      schema in Postgres (default anypod)
  --table NAME       table of sessions in Postgres (default mcp_session)
  --timeout MS       how long the backend may take to answer (default 5000)

A password in a URL can be seen by other users of this machine: put the URL into the environment.`;

export const COMMON_HELP = `  --json             print JSON
  -h, --help         show this text`;
