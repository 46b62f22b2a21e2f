/**
 * A pod of any runtime: `pod.mjs <name> <fetch|node|express>`, with REDIS_URL. It prints `listening <port>`, and drains at
 * SIGTERM.
 */
/* global Bun, Deno, Response */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { Redis } from 'ioredis';
import { createMcpHandler, RedisEventStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { journal, serverFactory } from './server.mjs';

const [name, host] = process.argv.slice(2);
const redis = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
const handler = createMcpHandler(serverFactory(name), {
  sessionStore: new RedisSessionStore({ redis }),
  eventStore: new RedisEventStore({ redis }),
  retryInterval: 50,
  leaseMs: 1000,
  onerror: error => console.error(`${name}: ${error.message}`)
});
const isJournal = url => new URL(url, 'http://pod').pathname === '/journal';

async function fetch(request) {
  return isJournal(request.url) ? Response.json(journal) : handler.fetch(request);
}

function node(req, res) {
  if (isJournal(req.url)) res.end(JSON.stringify(journal));
  else void handler.node(req, res, req.body);
}

/** Begins to serve. @returns the port, and what ends it */
const hosts = {
  async fetch() {
    if (globalThis.Bun) {
      const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch });
      return [server.port, () => server.stop(true)];
    }
    if (globalThis.Deno) {
      const server = Deno.serve({ port: 0, hostname: '127.0.0.1', onListen: () => {} }, fetch);
      return [server.addr.port, () => server.shutdown()];
    }
    const { createAdaptorServer } = await import('@hono/node-server');
    return listen(createAdaptorServer({ fetch }));
  },
  node: () => listen(createServer(node)),
  express() {
    const express = createRequire(import.meta.url)('express');
    const app = express();
    app.use(express.json());
    app.use(node);
    return listen(createServer(app));
  }
};

async function listen(server) {
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return [server.address().port, () => server.close()];
}

const [port, stop] = await hosts[host]();
process.once('SIGTERM', async () => {
  await handler.close({ drainMs: 5000 });
  await stop();
  redis.disconnect();
  process.exit(0);
});
// Ends with the process that started it.
process.stdin.once('end', () => process.exit(1)).resume();
console.log(`listening ${port}`);
