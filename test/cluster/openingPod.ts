import { parseArgs } from 'node:util';
import express from 'express';
import { Redis } from 'ioredis';
import {
  createMcpHandler,
  RedisEventStore,
  RedisSessionStore,
  type StreamableHTTPServerTransportOptions
} from 'mcp-sdk-anypod/server';
import { Journal, ProbeServer } from '../support/pods/probeServer.js';
import { runPod } from '../support/pods/runPod.js';
import { handWired } from './handWired.js';

/**
 * A pod whose tool `ask` asks the client on its standalone stream. Each path is a host of its own:
 * `/<handler or hand>/<log or plain>/<takeover or reject>`.
 */
const { values: flags } = parseArgs({ options: { redis: { type: 'string', default: 'redis://127.0.0.1:6379' } } });

const journal = new Journal();
const redis = new Redis(flags.redis);
const app = express();
for (const log of ['log', 'plain'] as const) {
  for (const standaloneStream of ['takeover', 'reject'] as const) {
    const options: StreamableHTTPServerTransportOptions = {
      sessionStore: new RedisSessionStore({ redis, keyPrefix: `${log}:${standaloneStream}:` }),
      eventStore: log === 'log' ? new RedisEventStore({ redis, keyPrefix: `${log}:${standaloneStream}:` }) : undefined,
      standaloneStream
    };
    const factory = () => new ProbeServer(journal, 'McpServer');
    const handler = createMcpHandler(factory, { ...journal.callbacks(), ...options });
    app.all(`/handler/${log}/${standaloneStream}`, (req, res, next) => void handler.node(req, res).catch(next));
    app.all(`/hand/${log}/${standaloneStream}`, express.json(), handWired(journal, options));
  }
}
await runPod(app, { journal: () => journal.entries });
