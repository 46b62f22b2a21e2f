import { once } from 'node:events';
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

/** A reverse proxy that hands each request to the next pod in turn and knows nothing of sessions. */
export interface RoundRobin {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** From the next request on, these ports take turns. A pod that refuses the connection gives 502. */
  setPods(ports: readonly number[]): void;
  stop(): Promise<void>;
}

export async function startRoundRobin(ports: readonly number[]): Promise<RoundRobin> {
  let pods = ports;
  let turn = 0;
  const server = createServer((req, res) => {
    const pod = pods[turn++ % pods.length];
    if (pod === undefined) res.writeHead(503).end();
    else forward(req, res, pod);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    setPods: next => void (pods = next),
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
  };
}

function forward(req: IncomingMessage, res: ServerResponse, port: number): void {
  const headers = endToEnd(req.headers);
  // No agent: a kept connection that the pod is just closing would fail a request that the pod never saw.
  const onward = request({ host: '127.0.0.1', port, method: req.method, path: req.url, headers, agent: false });
  onward.on('response', answer => {
    res.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.headers));
    // A stream's client must see its headers before the first event.
    res.flushHeaders();
    // If the pod drops the connection midway, pipeline destroys the client's.
    pipeline(answer, res, () => {});
  });
  onward.on('error', () => {
    if (res.headersSent) res.destroy();
    else res.writeHead(502).end();
  });
  res.on('close', () => onward.destroy());
  req.pipe(onward);
}

/** All headers but those that speak of one connection only. */
function endToEnd({ connection: _connection, 'keep-alive': _keepAlive, ...headers }: IncomingHttpHeaders) {
  return headers;
}
