import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { Pace, WorldEvent } from './webView.js';
import type { World } from './webWorld.js';

/** The page, its events and its buttons, on the loopback interface. */
export interface WebServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** What a button sends. */
interface Press {
  do?: unknown;
  name?: unknown;
}

const HTML = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
};

/** @param port - 0 for any that is free */
export async function startWebServer(world: World, port: number): Promise<WebServer> {
  const page = await readFile(new URL('./page.html', import.meta.url));
  const server = createServer((req, res) => void route(req, res).catch(() => res.destroy()));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  const hosts = [`127.0.0.1:${own}`, `localhost:${own}`];

  async function route(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { host = '', origin } = req.headers;
    // A page of another site may reach this port, but not under this name (DNS rebinding) and not with this origin.
    if (!hosts.includes(host)) return void res.writeHead(403).end('Open this page as http://127.0.0.1');
    if (req.method === 'GET' && req.url === '/') return void res.writeHead(200, HTML).end(page);
    if (req.method === 'GET' && req.url === '/events') return stream(world, res);
    if (req.method !== 'POST' || req.url !== '/do') return void res.writeHead(404).end();
    if (origin !== `http://${host}`) return void res.writeHead(403).end();
    const done = await press(world, (await json(req)) as Press);
    res.writeHead(done ? 204 : 409).end();
  }

  return {
    url: `http://127.0.0.1:${own}/`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
  };
}

function stream(world: World, res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (event: WorldEvent): void => void res.write(`data: ${JSON.stringify(event)}\n\n`);
  for (const line of world.lines) send({ type: 'line', line });
  send({ type: 'state', state: world.view });
  res.once('close', world.listen(send));
}

/** @returns whether something was done */
async function press(world: World, { do: action, name = '' }: Press): Promise<boolean> {
  if (typeof name !== 'string') return false;
  const client = world.client(name);
  switch (action) {
    case 'kill':
      return world.kill(name);
    case 'pause':
      return world.pause(name);
    case 'resume':
      return world.resume(name);
    case 'add':
      return world.add();
    case 'roll':
      return world.roll();
    case 'pace':
      if (!['off', 'slow', 'fast'].includes(name)) return false;
      world.setPace(name as Pace);
      return true;
    case 'ask':
    case 'news':
    case 'delete':
      await client?.[action]();
      return client !== undefined;
    default:
      return false;
  }
}
