/**
 * A session store of your own: a class with five methods, here on PostgreSQL. Any number of pods may share it.
 *
 *   PORT=3001 DATABASE_URL=postgres://localhost/mcp npx tsx examples/custom-store.ts
 *   PORT=3002 DATABASE_URL=postgres://localhost/mcp npx tsx examples/custom-store.ts
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMcpHandler, McpServer, type SessionData, type SessionStore } from 'mcp-sdk-anypod/server';
import { Pool } from 'pg';

/**
 * No index on last_activity: every request writes it, and the sweep is rare. `jsonb` cannot contain a NUL character, so
 * a client with one in its name cannot open a session; `text` could contain it.
 */
const table = `
  create table if not exists mcp_session (
    session_id    text        primary key,
    initialized   boolean     not null,
    created_at    timestamptz not null,
    last_activity timestamptz not null,
    metadata      jsonb
  )`;

/** The part of `pg` that the store uses. */
interface Database {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

interface Row {
  initialized: boolean;
  created_at: Date;
  last_activity: Date;
  metadata: SessionData['metadata'] | null;
}

/**
 * Only the database's clock decides whether a session has expired, so pods need not agree on the time. Session ids come
 * from clients: they are parameters, never query text. Errors are thrown, and the client gets 503. A session is missing
 * only if the database answered that it is missing.
 */
class PostgresSessionStore implements SessionStore {
  readonly ttlSeconds: number;
  readonly #db: Database;

  constructor(db: Database, ttlSeconds: number) {
    this.#db = db;
    this.ttlSeconds = ttlSeconds;
  }

  /** Creates or replaces the record: a store with only these five methods must do both. */
  async storeSession(sessionId: string, { initialized, createdAt, metadata }: SessionData): Promise<void> {
    await this.#db.query(
      `insert into mcp_session (session_id, initialized, created_at, last_activity, metadata)
       values ($1, $2, $3, now(), $4)
       on conflict (session_id) do update set
         initialized = excluded.initialized, created_at = excluded.created_at,
         last_activity = excluded.last_activity, metadata = excluded.metadata`,
      [sessionId, initialized, new Date(createdAt), metadata && JSON.stringify(metadata)]
    );
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    const { rows } = await this.#db.query(
      `select initialized, created_at, last_activity, metadata from mcp_session
       where session_id = $1 and last_activity > now() - make_interval(secs => $2)`,
      [sessionId, this.ttlSeconds]
    );
    const row = rows[0] as Row | undefined;
    return row
      ? {
          sessionId,
          initialized: row.initialized,
          createdAt: row.created_at.getTime(),
          lastActivity: row.last_activity.getTime(),
          metadata: row.metadata ?? undefined
        }
      : null;
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    await this.#db.query(
      `update mcp_session set last_activity = now()
       where session_id = $1 and last_activity > now() - make_interval(secs => $2)`,
      [sessionId, this.ttlSeconds]
    );
  }

  async deleteSession(sessionId: string): Promise<void> {
    await this.#db.query('delete from mcp_session where session_id = $1', [sessionId]);
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return (await this.getSession(sessionId)) !== null;
  }

  /** Not part of the contract: removes expired rows, which no query returns any more. */
  async sweep(): Promise<void> {
    await this.#db.query('delete from mcp_session where last_activity <= now() - make_interval(secs => $1)', [
      this.ttlSeconds
    ]);
  }
}

const pool = new Pool({ connectionString: process.env.DATABASE_URL, statement_timeout: 2000 });
// A connection that breaks while idle is replaced. Without a listener, it would end the process.
pool.on('error', error => console.error(`PostgreSQL: ${error.message}`));
// Pods that start together would collide in `create table`: the lock is held until the next statements are done.
await pool.query(`select pg_advisory_xact_lock(hashtext('mcp_session')); ${table}`);

const sessionStore = new PostgresSessionStore(pool, 3600);
setInterval(() => {
  sessionStore.sweep().catch((error: Error) => console.error(`PostgreSQL: ${error.message}`));
}, 600_000);

const handler = createMcpHandler(
  ({ jsonSchemaValidator }) => {
    const mcp = new McpServer({ name: 'custom-store', version: '1.0.0' }, { jsonSchemaValidator });
    mcp.registerTool('whoami', { description: 'Who calls, and which pod answers?' }, () => ({
      content: [{ type: 'text', text: `${mcp.server.getClientVersion()?.name} on pod ${process.pid}` }]
    }));
    return mcp;
  },
  { sessionStore, onerror: error => console.error(error.message) }
);

const server = createServer((req, res) => void handler.node(req, res));
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
