/**
 * A session store on Cloudflare's Durable Objects: a class with five methods. Each session is an object of its own, so its
 * reads and writes have one order for all isolates.
 */
import type { SessionData, SessionStore } from 'mcp-sdk-anypod/server';

/** The parts of Cloudflare's types that this file uses; `@cloudflare/workers-types` has the whole ones. */
export interface ObjectNamespace {
  idFromName(name: string): object;
  get(id: object): { fetch(url: string, init?: RequestInit): Promise<Response> };
}
interface ObjectState {
  readonly storage: {
    get(key: string): Promise<SessionData | undefined>;
    put(key: string, value: SessionData): Promise<void>;
    deleteAll(): Promise<void>;
    setAlarm(time: number): Promise<void>;
  };
}

const TTL_SECONDS = 3600;
const KEY = 'session';
/** No object is asked by this name: requests are answered by method alone. */
const URL = 'https://session.invalid/';

/** The Durable Object of one session. Its alarm ends the session when its time to live is over. */
export class SessionObject {
  readonly #storage: ObjectState['storage'];

  constructor(state: ObjectState) {
    this.#storage = state.storage;
  }

  async fetch(request: Request): Promise<Response> {
    if (request.method === 'DELETE') {
      await this.#storage.deleteAll();
      return new Response();
    }
    const record = request.method === 'PUT' ? ((await request.json()) as SessionData) : await this.#storage.get(KEY);
    if (!record) return new Response(null, { status: 404 });
    if (request.method === 'GET') return Response.json(record);
    await this.#storage.put(KEY, { ...record, lastActivity: Date.now() });
    await this.#storage.setAlarm(Date.now() + TTL_SECONDS * 1000);
    return new Response();
  }

  async alarm(): Promise<void> {
    await this.#storage.deleteAll();
  }
}

/** The store that every isolate makes for itself. */
export class DurableObjectSessionStore implements SessionStore {
  readonly ttlSeconds = TTL_SECONDS;
  readonly #namespace: ObjectNamespace;

  constructor(namespace: ObjectNamespace) {
    this.#namespace = namespace;
  }

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    await this.#ask(sessionId, 'PUT', JSON.stringify(data));
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    const response = await this.#ask(sessionId, 'GET');
    return response.status === 404 ? null : ((await response.json()) as SessionData);
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    await this.#ask(sessionId, 'PATCH');
  }

  async deleteSession(sessionId: string): Promise<void> {
    await this.#ask(sessionId, 'DELETE');
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return (await this.getSession(sessionId)) !== null;
  }

  /** A stub belongs to the request in which it was made, so each call makes its own. A failure is an error, not "missing". */
  async #ask(sessionId: string, method: string, body?: string): Promise<Response> {
    const stub = this.#namespace.get(this.#namespace.idFromName(sessionId));
    const response = await stub.fetch(URL, { method, body });
    if (!response.ok && response.status !== 404) throw new Error(`The session's object answered ${response.status}`);
    return response;
  }
}
