import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { getRequestListener } from '@hono/node-server';
import { ours, stockNode, stockWeb, type NodeHandle, type Ours } from './servers.js';
import { observe } from './observe.js';
import { tmcp } from './peers.js';
import { cpuMicros, configuration, serve } from './rpc.js';
import { streamTools } from './streams.js';

export interface PodConfiguration {
  /** `ceiling` answers a constant: what the load generator and Node's HTTP server give at most. */
  subject: 'ceiling' | 'stock' | 'memory' | 'redis' | 'postgres' | 'tmcp';
  /**
   * Who reads and parses the body: the transport, the host with `JSON.parse`, or `express.json()`. With `hono`, Hono's Node
   * server calls the web-standard adapter. @default 'plain'
   */
  host?: 'plain' | 'parsed' | 'express' | 'hono';
  json?: boolean;
  redis?: string | undefined;
  /** The URL of a Postgres with tables, for the subject of that name. */
  postgres?: string;
  /** With an event log on the same Redis; the stock SDK has one in memory. */
  events?: boolean;
  /** Whether tools send events before they answer. */
  streams?: boolean;
  /** As the option of that name. */
  sessionFreshnessMs?: number;
  /** Whether metrics, or metrics and spans, are recorded. */
  observe?: 'metrics' | 'spans' | undefined;
  /** Where the peers were installed. */
  peers?: string;
}

const config = configuration<PodConfiguration>();
let our: Ours | undefined;
/** When the messages of a channel of Redis arrived, less when they were published. */
const arrivals: number[] = [];
let onArrival: ((message: string) => void) | undefined;

async function subject(): Promise<NodeHandle> {
  switch (config.subject) {
    case 'ceiling':
      return answerConstant;
    case 'stock':
      if (config.host === 'hono') return getRequestListener(stockWeb());
      return stockNode(config.json ?? false, config.events);
    case 'tmcp':
      return tmcp(config.peers!, config.redis);
    default: {
      const { json, events, sessionFreshnessMs, postgres } = config;
      our = ours(
        config.redis,
        { enableJsonResponse: json, events, sessionFreshnessMs, postgres },
        config.streams ? streamTools : undefined
      );
      if (config.observe) observe(config.observe, our.handler);
      return config.host === 'hono' ? getRequestListener(request => our!.handler.fetch(request)) : our.handler.node;
    }
  }
}

async function answerConstant(req: IncomingMessage, res: ServerResponse): Promise<void> {
  await bodyOf(req);
  const result = { content: [{ type: 'text', text: 'hello' }] };
  res.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 'none' });
  res.end(`event: message\ndata: ${JSON.stringify({ result, jsonrpc: '2.0', id: 1 })}\n\n`);
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function readBody(req: IncomingMessage, done: (text: string) => void): void {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => done(Buffer.concat(chunks).toString('utf8')));
}

/** The bare minimum that a replay on another pod does: reads the entries and writes each of them out. */
async function writeEntries(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const query = new URL(req.url!, 'http://localhost').searchParams;
  const { after, stream } = { after: query.get('after')!, stream: query.get('stream')! };
  const entries = await our!.redis!.xrange(query.get('key')!, `(${after}`, '+');
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const [id, [, text]] of entries) res.write(`event: message\nid: ${stream}@${id}\ndata: ${text}\n\n`);
  res.end();
}

/** The bare minimum that a pod does for a stream: what it hears of a channel goes to the client. */
function relay(res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  onArrival = message => res.write(`event: message\ndata: ${message}\n\n`);
}

function host(handle: NodeHandle): (req: IncomingMessage, res: ServerResponse) => void {
  switch (config.host) {
    case 'parsed':
      return (req, res) => readBody(req, text => void handle(req, res, JSON.parse(text)));
    case 'express': {
      const app = express();
      app.use(express.json());
      app.all('/mcp', async (req, res) => void (await handle(req, res, req.body)));
      return app;
    }
    default:
      return (req, res) => {
        if (req.url!.startsWith('/entries')) void writeEntries(req, res);
        else if (req.url!.startsWith('/relay')) relay(res);
        else void handle(req, res);
      };
  }
}

const listener = createServer(host(await subject())).listen(0, '127.0.0.1');
await once(listener, 'listening');

serve({
  origin: () => `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
  cpu: cpuMicros,
  async notify({ sessionId }: { sessionId: string }) {
    const server = our!.servers.get(sessionId)!;
    await server.sendLoggingMessage({ level: 'info', data: String(process.hrtime.bigint()) });
  },
  publish: ({ channel }: { channel: string }) => our!.redis!.publish(channel, notificationNow()),
  async subscribe({ channel }: { channel: string }) {
    const subscriber = our!.redis!.duplicate();
    await subscriber.subscribe(channel);
    subscriber.on('message', (_channel, message) => {
      const { data } = (JSON.parse(message) as { params: { data: string } }).params;
      arrivals.push(Number(process.hrtime.bigint() - BigInt(data)) / 1000);
      onArrival?.(message);
    });
  },
  arrivals: () => arrivals.splice(0)
});

/** Of the same size as the notification that the server sends. */
function notificationNow(): string {
  const params = { level: 'info', data: String(process.hrtime.bigint()) };
  return JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params });
}
