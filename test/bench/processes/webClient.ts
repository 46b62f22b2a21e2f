import { INITIALIZE, INITIALIZED, JSON_HEADERS } from '../client.js';
import type { WebHandle } from './servers.js';

/** A client in the process of the handler that it calls: no HTTP between them. */
export class WebClient {
  readonly #handle: WebHandle;
  #nextId = 1;

  constructor(handle: WebHandle) {
    this.#handle = handle;
  }

  /** Opens a session, with the handshake of a typical client, and gives its id. */
  async open(): Promise<string> {
    const { sessionId } = await this.#exchange(INITIALIZE);
    if (sessionId === null) throw new Error('The server gave no session id');
    await this.#exchange(INITIALIZED, sessionId);
    return sessionId;
  }

  async openMany(count: number, atOnce = 50): Promise<string[]> {
    const sessions: string[] = [];
    while (sessions.length < count) {
      const batch = Array.from({ length: Math.min(atOnce, count - sessions.length) }, () => this.open());
      sessions.push(...(await Promise.all(batch)));
    }
    return sessions;
  }

  /** Calls the echo tool, and gives the text of the response. */
  async echo(sessionId: string): Promise<string> {
    const params = { name: 'echo', arguments: { text: 'hello' } };
    const message = { jsonrpc: '2.0', id: this.#nextId++, method: 'tools/call', params };
    return (await this.#exchange(message, sessionId)).text;
  }

  async #exchange(message: object, sessionId?: string): Promise<{ text: string; sessionId: string | null }> {
    const headers = { ...JSON_HEADERS, ...(sessionId !== undefined && { 'mcp-session-id': sessionId }) };
    const body = JSON.stringify(message);
    const response = await this.#handle(new Request('http://127.0.0.1/mcp', { method: 'POST', headers, body }));
    const text = await response.text();
    if (!response.ok || text.includes('"error"')) throw new Error(`Answered ${response.status}: ${text}`);
    return { text, sessionId: response.headers.get('mcp-session-id') };
  }
}
