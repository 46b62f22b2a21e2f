import { get } from 'node:http';
import { Redis } from 'ioredis';
import { withRedis } from '../redis.js';
import { checkEcho, JSON_HEADERS, openSession, post } from '../client.js';
import type { PodConfiguration } from '../processes/pod.js';
import type { Detail, Scenario } from '../scenario.js';
import { median, ratio, summarize } from '../statistics.js';
import { Worker } from '../worker.js';

const EVENTS = 1000;

interface Cost {
  /** Until the client had everything; microseconds. */
  wall: number;
  cpu: number;
}

/** A client that comes back to another pod, with everything still to hear. */
export const resume: Scenario = {
  name: 'resume',
  title: `resuming a stream on another pod, ${EVENTS} events to replay`,
  run: ({ quick, rounds }) =>
    withRedis(async redis => {
      const config: PodConfiguration = { subject: 'redis', redis, events: true, streams: true };
      const [a, b] = await Promise.all([Worker.start('pod', config), Worker.start('pod', config)]);
      try {
        const [originA, originB] = await Promise.all([a.call<string>('origin'), b.call<string>('origin')]);
        const sessionId = await openSession(originA);
        const cursor = await talk(originA, sessionId);
        await checkEcho(originB, sessionId);
        const [stream, after] = [cursor.slice(0, cursor.lastIndexOf('@')), cursor.slice(cursor.lastIndexOf('@') + 1)];
        const query = new URLSearchParams({ key: await logOf(redis), stream, after });
        const headers = { ...JSON_HEADERS, accept: 'text/event-stream', 'mcp-session-id': sessionId };
        const replay = (): Promise<number> => read(`${originB}/mcp`, { ...headers, 'last-event-id': cursor });
        const bare = (): Promise<number> => read(`${originB}/entries?${query.toString()}`, headers);

        const costs: Record<'replay' | 'bare', Cost[]> = { replay: [], bare: [] };
        const each = quick ? 10 : 40;
        for (let round = 0; round <= rounds; round++) {
          const spent = { replay: await cost(b, each, replay), bare: await cost(b, each, bare) };
          if (round === 0) continue;
          costs.replay.push(spent.replay);
          costs.bare.push(spent.bare);
        }
        const of = (what: 'replay' | 'bare', key: keyof Cost): number[] => costs[what].map(spent => spent[key]);
        const line = (subject: string, what: 'replay' | 'bare'): Detail => ({
          subject,
          'p50 until the last event, µs': Math.round(median(of(what, 'wall'))),
          spread: `${Math.round(summarize(of(what, 'wall')).min)}-${Math.round(summarize(of(what, 'wall')).max)}`,
          'CPU of the pod, µs': Math.round(median(of(what, 'cpu')))
        });
        const bareMethod = 'to one XRANGE on the same pod and a write for each entry';
        return {
          rows: [
            {
              measure: `resume on another pod with ${EVENTS} events, to XRANGE and writing them out`,
              unit: 'x',
              method: `GET with Last-Event-ID until the client has the last event, on a pod that did not run the request and has the session live; ${bareMethod}; p50 of a round`,
              goal: { atMost: 2 },
              ...ratio(of('replay', 'wall'), of('bare', 'wall'))
            },
            {
              measure: `the same, CPU of the pod`,
              unit: 'x',
              method: `process.cpuUsage of that pod over the same resumptions, ${bareMethod}`,
              goal: { atMost: 2 },
              ...ratio(of('replay', 'cpu'), of('bare', 'cpu'))
            }
          ],
          details: [line('resume', 'replay'), line('XRANGE and writes', 'bare')]
        };
      } finally {
        await Promise.all([a.stop(), b.stop()]);
      }
    })
};

/** Has a tool say so much that, with its answer, there are `EVENTS` events; gives the id of the one before them. */
async function talk(origin: string, sessionId: string): Promise<string> {
  const params = { name: 'talk', arguments: { count: EVENTS - 1 } };
  const answer = await post(origin, { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, sessionId);
  const ids = [...(await answer.text()).matchAll(/^id: ?(.+)$/gm)].map(([, id]) => id!);
  if (ids.length !== EVENTS + 1) throw new Error(`The stream had ${ids.length} events`);
  return ids[0]!;
}

/** The key of the one stream that is in the log. */
async function logOf(url: string): Promise<string> {
  const admin = new Redis(url);
  try {
    const keys: string[] = [];
    for await (const found of admin.scanStream({ type: 'stream' }) as AsyncIterable<string[]>) keys.push(...found);
    const lengths = await Promise.all(keys.map(key => admin.xlen(key)));
    return keys[lengths.findIndex(length => length >= EVENTS)]!;
  } finally {
    admin.disconnect();
  }
}

async function cost(pod: Worker, times: number, work: () => Promise<number>): Promise<Cost> {
  const walls: number[] = [];
  const before = await pod.call<number>('cpu');
  for (let time = 0; time < times; time++) walls.push(await work());
  return { wall: median(walls), cpu: ((await pod.call<number>('cpu')) - before) / times };
}

/** Reads a stream to its end; microseconds until the last event was there. */
function read(url: string, headers: Record<string, string>): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false }, response => {
      const chunks: Buffer[] = [];
      let lastAt = startedAt;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        lastAt = performance.now();
      });
      response.on('error', reject).on('end', () => {
        const events = Buffer.concat(chunks).toString('latin1').split('\ndata: {').length - 1;
        if (events === EVENTS) resolve((lastAt - startedAt) * 1000);
        else reject(new Error(`${url} gave ${events} events, status ${response.statusCode}`));
      });
    });
    request.on('error', reject);
  });
}
