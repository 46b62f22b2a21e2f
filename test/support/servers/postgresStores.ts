import {
  migrate,
  PostgresEventStore,
  PostgresSessionStore,
  PostgresTaskMessageQueue,
  PostgresTaskStore
} from 'mcp-sdk-anypod/server';
import { Pool } from 'pg';

/** What a pod keeps in Postgres. Pods that start together make the tables together. */
export class PostgresStores {
  readonly pool: Pool;

  private constructor(pool: Pool) {
    this.pool = pool;
  }

  static async connect(connectionString: string): Promise<PostgresStores> {
    const pool = new Pool({ connectionString });
    await migrate({ pool });
    return new PostgresStores(pool);
  }

  /** @param table - made where it is not there */
  async sessions(table?: string, ttlSeconds?: number): Promise<PostgresSessionStore> {
    const store = new PostgresSessionStore({ pool: this.pool, table, ttlSeconds });
    await store.migrate();
    return store;
  }

  events(): PostgresEventStore {
    return new PostgresEventStore({ pool: this.pool });
  }

  tasks(): PostgresTaskStore {
    return new PostgresTaskStore({ pool: this.pool });
  }

  taskMessages(): PostgresTaskMessageQueue {
    return new PostgresTaskMessageQueue({ pool: this.pool });
  }

  async close(): Promise<void> {
    await this.pool.end();
  }
}
