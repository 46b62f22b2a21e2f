import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream';
import type { Fleet, Pod } from './fleet.js';

/** The route of one request: the pod that answered, or 'nobody'. */
export interface Served {
  method: string;
  pod: string;
  /** Pods that were tried first and refused the connection. */
  refusedBy: string[];
}

/** A load balancer without knowledge of sessions: it sends each request to the next pod that accepts it. */
export interface Balancer {
  readonly url: URL;
  /** All requests except those for streams, which the client opens at any time. */
  readonly served: readonly Served[];
  /** If a pod is set, all requests go there. */
  pin(pod: Pod | undefined): void;
  stop(): Promise<void>;
}

export async function startBalancer(fleet: Fleet): Promise<Balancer> {
  let turn = 0;
  const served: Served[] = [];
  let pinned: Pod | undefined;
  const server = createServer((req, res) => void handle(req, res).catch(() => res.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await buffer(req);
    const way: Served = { method: req.method ?? '', pod: 'nobody', refusedBy: [] };
    if (req.method !== 'GET') served.push(way);
    for (let tries = fleet.pods.length; tries > 0; tries--) {
      const pod = pinned ?? fleet.pods[turn++ % fleet.pods.length]!;
      try {
        const answer = await forward(req, body, pod.port);
        way.pod = pod.name;
        res.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders();
        pipeline(answer, res, () => {});
        return;
      } catch (error) {
        // Only a request that no pod has received may be sent to another pod.
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') break;
        way.refusedBy.push(pod.name);
      }
    }
    res.writeHead(502).end();
  }

  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`),
    served,
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
async function forward(req: IncomingMessage, body: Buffer, port: number): Promise<IncomingMessage> {
  const { method, url: path, headers } = req;
  const onward = request({ host: '127.0.0.1', port, method, path, headers, agent: false }).end(body);
  // If a pod dies while it streams, the request fails a second time, after the head of the answer.
  onward.on('error', () => {});
  const [answer] = (await once(onward, 'response')) as [IncomingMessage];
  return answer;
}
