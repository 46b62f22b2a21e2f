import { InvalidOptionError } from '../../errors.js';
import { kindOf } from '../../validate.js';

export const DEFAULT_SCHEMA = 'anypod';
export const DEFAULT_TABLE = 'mcp_session';

/** Where the tables of this package are. */
export interface TableNames {
  /** The Postgres schema that contains the tables; `migrate()` creates it if it is missing. @default 'anypod' */
  schema?: string;
  /** The table of sessions. The names of the other tables begin with its name. @default 'mcp_session' */
  table?: string;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_$-]{0,39}$/;
/** Postgres silently truncates names after 63 bytes. */
const MAX_TOGETHER = 54;
const OTHERS = ['mcp_migration', 'mcp_event', 'mcp_event_stream', 'mcp_task', 'mcp_task_message'];

/** All names of this package in Postgres, quoted. */
export class Tables {
  readonly schema: string;
  readonly table: string;

  /** @throws InvalidOptionError */
  constructor({ schema = DEFAULT_SCHEMA, table = DEFAULT_TABLE }: TableNames) {
    checkName('schema', schema);
    checkName('table', table);
    if (OTHERS.includes(table)) throw new InvalidOptionError('table', 'a name that is taken', 'another name');
    if (schema.length + table.length > MAX_TOGETHER) {
      throw new InvalidOptionError(
        'table',
        `${table.length} characters beside the ${schema.length} of schema`,
        `at most ${MAX_TOGETHER} characters for both`
      );
    }
    this.schema = schema;
    this.table = table;
  }

  get sessions(): string {
    return this.#named(this.table);
  }

  /** An index of possible subscriptions by URI. It may be stale; the row of the session decides. */
  get subscriptions(): string {
    return this.#named(`${this.table}_subscription`);
  }

  get locks(): string {
    return this.#named(`${this.table}_lock`);
  }

  /** Messages that are too long for a NOTIFY. */
  get messages(): string {
    return this.#named(`${this.table}_message`);
  }

  get streams(): string {
    return this.#named('mcp_event_stream');
  }

  get events(): string {
    return this.#named('mcp_event');
  }

  get tasks(): string {
    return this.#named('mcp_task');
  }

  get taskMessages(): string {
    return this.#named('mcp_task_message');
  }

  /** The version of each group of tables. */
  get migrations(): string {
    return this.#named('mcp_migration');
  }

  /** The channel of NOTIFY, shared by all pods with the same table of sessions. */
  get channel(): string {
    return `anypod:${this.schema}.${this.table}`;
  }

  #named(table: string): string {
    return `"${this.schema}"."${table}"`;
  }
}

function checkName(option: string, value: unknown): void {
  if (typeof value === 'string' && NAME.test(value)) return;
  const kind = typeof value === 'string' ? 'a string that is not such a name' : kindOf(value);
  throw new InvalidOptionError(option, kind, 'a name of 1 to 40 letters, digits, _, $ and -, no digit, $ or - first');
}
