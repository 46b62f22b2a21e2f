import { randomUUID } from 'node:crypto';
import { migrate } from 'mcp-sdk-anypod/server';
import { Pool, type PoolConfig } from 'pg';
import { PostgresServer } from './postgresServer.js';

/** A private Postgres, and pools that end with it. */
export class PostgresPools {
  readonly server: PostgresServer;
  readonly #pools: Pool[] = [];

  private constructor(server: PostgresServer) {
    this.server = server;
  }

  static async start(): Promise<PostgresPools> {
    return new PostgresPools(await PostgresServer.create());
  }

  pool(config: PoolConfig = {}): Pool {
    const pool = new Pool({ connectionString: this.server.url, ...config });
    this.#pools.push(pool);
    return pool;
  }

  /** Creates the tables in the default schema. */
  async migrate(): Promise<void> {
    await migrate({ pool: this.pool() });
  }

  /** The name of a schema of its own, with tables. */
  async schema(): Promise<string> {
    const schema = `s${randomUUID().replaceAll('-', '').slice(0, 12)}`;
    const pool = new Pool({ connectionString: this.server.url });
    await migrate({ pool, schema });
    await pool.end();
    return schema;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#pools.map(pool => pool.end()));
    await this.server.destroy();
  }
}
