import { Agent, get } from 'node:http';
import { JSON_HEADERS, openSession, post } from '../client.js';
import { serve } from './rpc.js';

/** How many streams are opened at the same time. */
const AT_ONCE = 50;

/** Messages that the clients have read. */
let received = 0;
let onReceived = (): void => {};

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

/** A client that does nothing but hold a stream, and is told of changes of a resource. */
async function hold({ origin, isBare, uri }: Holding): Promise<void> {
  const sessionId = isBare ? 'none' : await openSession(origin);
  if (uri !== undefined && !isBare) {
    const subscribe = { jsonrpc: '2.0', id: 'subscribe', method: 'resources/subscribe', params: { uri } };
    await (await post(origin, subscribe, sessionId)).text();
  }
  const headers = { ...JSON_HEADERS, accept: 'text/event-stream', 'mcp-session-id': sessionId };
  await new Promise<void>((resolve, reject) => {
    const request = get(`${origin}/mcp`, { agent, headers }, response => {
      if (response.statusCode !== 200) reject(new Error(`Answered ${response.statusCode}`));
      response.on('data', (chunk: Buffer) => {
        if (!chunk.includes('event: message')) return;
        received++;
        onReceived();
      });
      resolve();
    });
    request.on('error', reject);
  });
}

interface Holding {
  origin: string;
  isBare: boolean;
  /** A resource to subscribe to. */
  uri?: string;
}

serve({
  async hold({ count, ...holding }: Holding & { count: number }) {
    for (let held = 0; held < count; held += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - held) }, () => hold(holding)));
    }
  },
  /** Resolves when the clients have read so many messages more than at the last call. */
  async receive({ count }: { count: number }) {
    await new Promise<void>(resolve => {
      onReceived = () => received >= count && resolve();
      onReceived();
    });
    received -= count;
  }
});
