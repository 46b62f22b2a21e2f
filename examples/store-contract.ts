/**
 * Tests your own session store with the contract that the stores of this package pass, here with node:test:
 *
 *   npx tsx --test examples/store-contract.ts
 *
 * It also runs on jest and vitest: the contract uses only `describe` and `it` of a runner.
 */
import { describe, it } from 'node:test';
import type { SessionData, SessionStore } from 'mcp-sdk-anypod/server';
import { sessionStoreContract } from 'mcp-sdk-anypod/testing';

interface Row {
  text: string;
  refreshedAt: number;
}

/** The five methods on a map; your store has a database instead. */
class TableSessionStore implements SessionStore {
  constructor(
    private readonly table: Map<string, Row>,
    readonly ttlSeconds: number
  ) {}

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    this.table.set(sessionId, { text: JSON.stringify(data), refreshedAt: Date.now() });
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    const row = this.live(sessionId);
    return row ? { ...(JSON.parse(row.text) as SessionData), lastActivity: row.refreshedAt } : null;
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    const row = this.live(sessionId);
    if (row) row.refreshedAt = Date.now();
  }

  async deleteSession(sessionId: string): Promise<void> {
    this.table.delete(sessionId);
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return this.live(sessionId) !== undefined;
  }

  private live(sessionId: string): Row | undefined {
    const row = this.table.get(sessionId);
    return row && Date.now() - row.refreshedAt < this.ttlSeconds * 1000 ? row : undefined;
  }
}

sessionStoreContract({
  describe,
  it,
  name: 'TableSessionStore',
  makeTwo: async ({ ttlSeconds }) => {
    const table = new Map<string, Row>();
    return { first: new TableSessionStore(table, ttlSeconds), second: new TableSessionStore(table, ttlSeconds) };
  }
});
