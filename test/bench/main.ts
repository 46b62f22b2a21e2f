import { writeFileSync } from 'node:fs';
import { arch, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { startPod, type Pod } from '../support/process.js';
import { startRedisServer } from '../support/redisServer.js';

/**
 * Side by side with the stock SDK in one interleaved run: requests per second of an echo tool and the server's CPU time
 * per request, medians over the rounds. Prints a table of ratios to the stock transport and writes them as JSON.
 */
const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false }
  }
});
if (flags.help) {
  console.log('npm run bench -- [--quick] [--rounds 7] [--seconds 4] [--out results.json]');
  process.exit(0);
}
const rounds = Number(flags.rounds ?? (flags.quick ? 3 : 7));
const seconds = Number(flags.seconds ?? (flags.quick ? 1 : 4));

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const CONNECTIONS = 32;
let nextId = 1;

interface Subject {
  name: string;
  pod: Pod;
  sessionId: string;
  requestsPerSecond: number[];
  cpuMicrosPerRequest: number[];
}

function post(pod: Pod, message: Record<string, unknown>, sessionId?: string): Promise<Response> {
  const headers = { ...HEADERS, ...(sessionId !== undefined && { 'mcp-session-id': sessionId }) };
  const body = JSON.stringify({ jsonrpc: '2.0', ...message });
  return fetch(`${pod.origin}/mcp`, { method: 'POST', headers, body });
}

async function start(name: string, args: string[]): Promise<Subject> {
  const pod = await startPod('test/bench/server.ts', args);
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
  const opened = await post(pod, { id: 0, method: 'initialize', params });
  await opened.text();
  const sessionId = opened.headers.get('mcp-session-id') as string;
  await post(pod, { method: 'notifications/initialized' }, sessionId);
  return { name, pod, sessionId, requestsPerSecond: [], cpuMicrosPerRequest: [] };
}

async function cpuMicros(pod: Pod): Promise<number> {
  const { user, system } = (await (await fetch(`${pod.origin}/cpu`)).json()) as NodeJS.CpuUsage;
  return user + system;
}

async function measure({ pod, sessionId, requestsPerSecond, cpuMicrosPerRequest }: Subject): Promise<void> {
  const before = await cpuMicros(pod);
  const { requests, non2xx, errors } = await autocannon({
    url: `${pod.origin}/mcp`,
    connections: CONNECTIONS,
    duration: seconds,
    method: 'POST',
    headers: { ...HEADERS, 'mcp-session-id': sessionId, 'mcp-protocol-version': '2025-11-25' },
    // Each request has an id of its own: the stock transport crosses answers otherwise.
    requests: [{ setupRequest: request => ({ ...request, body: echo(nextId++) }) }]
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx + errors} requests failed\n${pod.output()}`);
  requestsPerSecond.push(requests.average);
  cpuMicrosPerRequest.push(((await cpuMicros(pod)) - before) / requests.total);
}

function echo(id: number): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: 'echo', arguments: { text: 'hello' } }
  });
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

const redis = await startRedisServer();
const subjects: Subject[] = [];
try {
  for (const json of [false, true]) {
    const answer = json ? 'JSON' : 'SSE';
    const more = json ? ['--json'] : [];
    subjects.push(await start(`stock, ${answer}`, ['--subject', 'stock', ...more]));
    subjects.push(await start(`anypod in memory, ${answer}`, ['--subject', 'memory', ...more]));
    subjects.push(await start(`anypod on Redis, ${answer}`, ['--subject', 'redis', '--redis', redis.url, ...more]));
  }
  // The first round warms up and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const subject of subjects) await measure(subject);
    if (round > 0) continue;
    for (const subject of subjects) subject.requestsPerSecond.length = subject.cpuMicrosPerRequest.length = 0;
  }
} finally {
  await Promise.all(subjects.map(({ pod }) => pod.stop('SIGKILL')));
  await redis.stop();
}

const results = subjects.map(({ name, requestsPerSecond, cpuMicrosPerRequest }, index) => {
  const stock = subjects[index - (index % 3)] as Subject;
  return {
    name,
    'requests/s': Math.round(median(requestsPerSecond)),
    'lowest and highest': `${Math.round(Math.min(...requestsPerSecond))} - ${Math.round(Math.max(...requestsPerSecond))}`,
    'to stock': Number((median(requestsPerSecond) / median(stock.requestsPerSecond)).toFixed(2)),
    'server CPU, µs': Math.round(median(cpuMicrosPerRequest)),
    'stock CPU to it': Number((median(stock.cpuMicrosPerRequest) / median(cpuMicrosPerRequest)).toFixed(2))
  };
});
const machine = `${cpus().length} x ${cpus()[0]?.model ?? arch()}, Node ${process.version}`;
console.log(`${machine}; ${CONNECTIONS} connections, ${rounds} rounds of ${seconds} s, medians`);
console.table(results);
if (flags.out) writeFileSync(flags.out, `${JSON.stringify({ machine, rounds, seconds, results }, null, 2)}\n`);
