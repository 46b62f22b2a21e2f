import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream';
import { clearTimeout, setTimeout } from '../../timers.js';
import { EXCHANGE_HEADER } from './endpoint.js';
import type { Fleet, Pod } from './fleet.js';

/** The route of one request: the pod that answered, or 'nobody'. */
export interface Served {
  method: string;
  pod: string;
  /** Pods that were tried first and refused the connection. */
  refusedBy: string[];
}

/** Sees each exchange on its way. */
export interface Watcher {
  begins(exchange: string, req: IncomingMessage, body: Buffer): void;
  /** The request goes to a pod. */
  tries(exchange: string, pod: string): void;
  refused(exchange: string, pod: string): void;
  /** @param pod - undefined if no pod has answered */
  answered(exchange: string, status: number, pod: string | undefined): void;
  /** The response is complete, or its connection is gone. */
  ended(exchange: string): void;
}

export interface BalancerOptions {
  watcher?: Watcher;
  /** The pods to which requests may go. @default all of the fleet */
  targets?: () => readonly Pod[];
  /** A pod that has not begun to answer a POST after this time counts as gone: 504. @default never */
  answerWithinMs?: number;
}

/** A load balancer without knowledge of sessions: it sends each request to the next pod that accepts it. */
export interface Balancer {
  readonly url: URL;
  /** All requests except those for streams, which the client opens at any time. Empty if there is a watcher. */
  readonly served: readonly Served[];
  /** The pod to which the client's newest GET stream is attached. */
  readonly streamPod: string | undefined;
  /** If a pod is set, all requests go there. */
  pin(pod: Pod | undefined): void;
  stop(): Promise<void>;
}

/** Names the pod in each answer. The clients of the web page read it. */
export const POD_HEADER = 'x-demo-pod';

export async function startBalancer(fleet: Fleet, options: BalancerOptions = {}): Promise<Balancer> {
  const { watcher, targets = () => fleet.pods, answerWithinMs } = options;
  let turn = 0;
  const served: Served[] = [];
  let pinned: Pod | undefined;
  let streamPod: string | undefined;
  let exchanges = 0;
  const server = createServer((req, res) => void handle(req, res).catch(() => res.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await buffer(req);
    const exchange = String(++exchanges);
    watcher?.begins(exchange, req, body);
    res.once('close', () => watcher?.ended(exchange));
    const way: Served = { method: req.method ?? '', pod: 'nobody', refusedBy: [] };
    if (req.method !== 'GET' && !watcher) served.push(way);
    let status = 502;
    for (let tries = targets().length; tries > 0; tries--) {
      const pods = targets();
      const pod = pinned ?? pods[turn++ % pods.length];
      if (!pod) break;
      try {
        watcher?.tries(exchange, pod.name);
        const answer = await forward(req, body, pod.port, exchange, req.method === 'GET' ? undefined : answerWithinMs);
        way.pod = pod.name;
        if (req.method === 'GET' && answer.statusCode === 200) streamPod = pod.name;
        watcher?.answered(exchange, answer.statusCode ?? 502, pod.name);
        res.writeHead(answer.statusCode ?? 502, { ...answer.headers, [POD_HEADER]: pod.name }).flushHeaders();
        pipeline(answer, res, () => {});
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ETIMEDOUT') status = 504;
        // Only a request that no pod has received may be sent to another pod.
        if (code !== 'ECONNREFUSED') break;
        way.refusedBy.push(pod.name);
        watcher?.refused(exchange, pod.name);
      }
    }
    watcher?.answered(exchange, status, undefined);
    res.writeHead(status).end();
  }

  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`),
    served,
    get streamPod() {
      return streamPod;
    },
    pin: pod => void (pinned = pod),
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
  };
}

/** @throws the error of connect(), if there was no connection */
async function forward(
  req: IncomingMessage,
  body: Buffer,
  port: number,
  exchange: string,
  answerWithinMs: number | undefined
): Promise<IncomingMessage> {
  const { method, url: path } = req;
  const headers = { ...req.headers, [EXCHANGE_HEADER]: exchange };
  const onward = request({ host: '127.0.0.1', port, method, path, headers, agent: false }).end(body);
  const late = (): void => void onward.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
  const timer = answerWithinMs === undefined ? undefined : setTimeout(late, answerWithinMs);
  // If a pod dies while it streams, the request fails a second time, after the head of the answer.
  onward.on('error', () => {});
  try {
    const [answer] = (await once(onward, 'response')) as [IncomingMessage];
    return answer;
  } finally {
    clearTimeout(timer);
  }
}
