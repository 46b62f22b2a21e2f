import { Agent, request } from 'node:http';
import { createHistogram, performance } from 'node:perf_hooks';
import autocannon from 'autocannon';
import { cpuMicros, serve } from './rpc.js';

export interface LoadTask {
  origins: string[];
  /** Each request is of the next one in turn. */
  sessions: string[];
  connections: number;
  seconds: number;
  /** Exactly so many requests, however long they take: a round that ends by the clock drops those under way. */
  amount?: number;
  /** Requests per second of the open loop; without it every connection sends as soon as it was answered. */
  rate?: number;
}

export interface LoadResult {
  requests: number;
  seconds: number;
  /** Microseconds. */
  p50: number;
  p99: number;
  /** Of one core that this process used: near 1, it is the load that is measured and not the server. */
  loadCpu: number;
}

let nextId = 1;
let turn = 0;

function headersFor(sessions: string[]): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-session-id': sessions[turn++ % sessions.length]!,
    'mcp-protocol-version': '2025-11-25'
  };
}

/** Each request has an id of its own: the stock transport crosses answers otherwise. */
function echo(): string {
  const params = { name: 'echo', arguments: { text: 'hello' } };
  return JSON.stringify({ jsonrpc: '2.0', id: nextId++, method: 'tools/call', params });
}

/** Closed loop: as many requests under way as there are connections. */
async function closed({ origins, sessions, connections, seconds, amount }: LoadTask): Promise<LoadResult> {
  const latencies = createHistogram();
  const cpuBefore = cpuMicros();
  const startedAt = performance.now();
  let lastAt = startedAt;
  const run = autocannon(
    {
      // Its types know of one; it takes several, and gives each connection the next one.
      url: origins.map(origin => `${origin}/mcp`) as unknown as string,
      connections,
      ...(amount === undefined ? { duration: seconds } : { amount }),
      sampleInt: 100,
      method: 'POST',
      requests: [{ setupRequest: base => ({ ...base, headers: headersFor(sessions), body: echo() }) }]
    },
    () => {}
  );
  // Its own latencies are whole milliseconds.
  run.on('response', (_client, _status, _bytes, milliseconds) => {
    latencies.record(Math.max(1, Math.round(milliseconds * 1000)));
    lastAt = performance.now();
  });
  const { errors, non2xx } = await new Promise<autocannon.Result>(resolve => run.on('done', resolve));
  if (errors + non2xx > 0) throw new Error(`${errors + non2xx} of ${latencies.count} requests failed`);
  return {
    requests: latencies.count,
    seconds: (lastAt - startedAt) / 1000,
    p50: latencies.percentile(50),
    p99: latencies.percentile(99),
    loadCpu: (cpuMicros() - cpuBefore) / 1000 / (performance.now() - startedAt)
  };
}

/**
 * Open loop: requests leave at even times, whether or not the server keeps up, and one that waits for a free connection
 * waits on the server's account. Not autocannon's `overallRate`: that sends a second's requests in one burst, as fast as
 * they are answered.
 */
async function open({ origins, sessions, connections, seconds, rate = 1000 }: LoadTask): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latencies = createHistogram();
  const cpuBefore = cpuMicros();
  const startedAt = performance.now();
  const total = Math.round(rate * seconds);
  let sent = 0;
  await new Promise<void>((resolve, reject) => {
    const pace = (): void => {
      while (sent < total && performance.now() - startedAt >= (sent * 1000) / rate) {
        const sentAt = performance.now();
        const origin = origins[sent++ % origins.length]!;
        const body = echo();
        const headers = { ...headersFor(sessions), 'content-length': Buffer.byteLength(body) };
        const sending = request(`${origin}/mcp`, { agent, method: 'POST', headers }, response => {
          if (response.statusCode !== 200) reject(new Error(`Answered ${response.statusCode}`));
          response.resume().on('end', () => {
            latencies.record(Math.max(1, Math.round((performance.now() - sentAt) * 1000)));
            if (latencies.count === total) resolve();
          });
        });
        sending.on('error', reject).end(body);
      }
      if (sent < total) setTimeout(pace, 1);
    };
    pace();
  });
  const elapsed = performance.now() - startedAt;
  agent.destroy();
  const loadCpu = (cpuMicros() - cpuBefore) / 1000 / elapsed;
  const [p50, p99] = [latencies.percentile(50), latencies.percentile(99)];
  return { requests: total, seconds: elapsed / 1000, p50, p99, loadCpu };
}

serve({ closed, open });
