import { ours, stockWeb, type WebHandle } from './servers.js';
import { configuration, cpuMicros, serve } from './rpc.js';
import { WebClient } from './webClient.js';

export interface WebConfiguration {
  /** `harness` makes the requests and reads answers that cost nothing. */
  subject: 'harness' | 'stock' | 'memory' | 'redis';
  redis?: string;
}

export interface WebResult {
  requests: number;
  seconds: number;
  cpuMicros: number;
}

const CONCURRENCY = 32;
const config = configuration<WebConfiguration>();
const client = new WebClient(subject());

function subject(): WebHandle {
  switch (config.subject) {
    case 'harness':
      return async request => {
        await request.text();
        return new Response('constant', { headers: { 'mcp-session-id': 'none' } });
      };
    case 'stock':
      return stockWeb();
    default:
      return ours(config.redis).handler.fetch;
  }
}

const sessions = await client.openMany(CONCURRENCY);
const answer = await client.echo(sessions[0]!);
if (config.subject !== 'harness' && !answer.includes('"text":"hello"')) throw new Error(`Answered ${answer}`);

async function run({ seconds }: { seconds: number }): Promise<WebResult> {
  const cpuBefore = cpuMicros();
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  let requests = 0;
  const loop = async (sessionId: string): Promise<void> => {
    while (performance.now() < until) {
      await client.echo(sessionId);
      // A microtask queue that never runs dry keeps Redis's answers out.
      if (++requests % CONCURRENCY === 0) await new Promise(resolve => setImmediate(resolve));
    }
  };
  await Promise.all(sessions.map(loop));
  return { requests, seconds: (performance.now() - startedAt) / 1000, cpuMicros: cpuMicros() - cpuBefore };
}

serve({ run });
