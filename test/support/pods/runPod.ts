import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RunPodOptions {
  /** @default a free one */
  port?: number | string;
  /** What `GET /journal` answers, as JSON. */
  journal?: () => unknown;
  /**
   * Runs at SIGTERM, while the server still listens, unless this closes it. All connections are closed afterwards.
   * @default the process ends at once
   */
  leave?: (server: Server) => unknown;
}

/** Makes this process a pod: it serves on 127.0.0.1, prints `listening <port>`, and ends after SIGTERM. */
export async function runPod(
  serve: RequestListener,
  { port = 0, journal, leave }: RunPodOptions = {}
): Promise<Server> {
  const server = createServer((req, res) => {
    if (journal && req.url === '/journal') res.end(JSON.stringify(journal()));
    else serve(req, res);
  }).listen(Number(port), '127.0.0.1');
  await once(server, 'listening');
  console.log(`listening ${(server.address() as AddressInfo).port}`);
  if (leave) process.once('SIGTERM', () => void end(server, leave));
  return server;
}

async function end(server: Server, leave: (server: Server) => unknown): Promise<void> {
  await leave(server);
  server.close();
  server.closeAllConnections();
}
