import type { SessionData, SessionStore } from 'mcp-sdk-anypod/server';

/** The least that a store can be: the five required methods over a map of JSON texts, which several pods share. */
export class MapSessionStore implements SessionStore {
  readonly #records: Map<string, string>;

  constructor(records = new Map<string, string>()) {
    this.#records = records;
  }

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    this.#records.set(sessionId, JSON.stringify(data));
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    const text = this.#records.get(sessionId);
    return text === undefined ? null : (JSON.parse(text) as SessionData);
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    const data = await this.getSession(sessionId);
    if (data) this.#records.set(sessionId, JSON.stringify({ ...data, lastActivity: Date.now() }));
  }

  async deleteSession(sessionId: string): Promise<void> {
    this.#records.delete(sessionId);
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return this.#records.has(sessionId);
  }
}
