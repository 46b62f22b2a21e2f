import { EventStream } from './eventStream.js';
import type { Message } from './rawClient.js';

const VERSION = '2025-11-25';
export const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': VERSION
};

/** A pod, or a balancer in front of several. */
type Origin = Readonly<{ origin: string }>;

/** A client of one session that picks the pod for each exchange. */
export class StreamSession {
  readonly id: string;
  #lastRequest = 0;

  private constructor(id: string) {
    this.id = id;
  }

  static async open(pod: Origin): Promise<StreamSession> {
    const params = { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: 'resumer', version: '1' } };
    const response = await fetch(`${pod.origin}/mcp`, {
      method: 'POST',
      headers: HEADERS,
      body: JSON.stringify({ jsonrpc: '2.0', id: 'init', method: 'initialize', params })
    });
    await response.text();
    return new StreamSession(response.headers.get('mcp-session-id') as string);
  }

  /** A request that is answered at once. */
  async request(pod: Origin, method: string, params: Record<string, unknown>): Promise<Message> {
    const stream = await this.#post(pod, method, params);
    await stream.untilEnded();
    return stream.messages.at(-1) as Message;
  }

  call(pod: Origin, name: string, args: Record<string, unknown>): Promise<EventStream> {
    return this.#post(pod, 'tools/call', { name, arguments: args });
  }

  #post(pod: Origin, method: string, params: Record<string, unknown>): Promise<EventStream> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: ++this.#lastRequest, method, params });
    return EventStream.open(`${pod.origin}/mcp`, { method: 'POST', headers: this.#headers(), body });
  }

  listen(pod: Origin, lastEventId?: string): Promise<EventStream> {
    const headers = { ...this.#headers(), ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) };
    return EventStream.open(`${pod.origin}/mcp`, { headers });
  }

  #headers(): Record<string, string> {
    return { ...HEADERS, 'mcp-session-id': this.id };
  }
}
