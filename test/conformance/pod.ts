import { parseArgs } from 'node:util';
import { createMcpExpressApp } from 'mcp-sdk-upstream/server/express.js';
import { runPod } from '../support/pods/runPod.js';
import type { Endpoint } from './endpoint.js';
import { createEverythingServer } from './everythingServer.js';
import { stockEndpoint } from './stockEndpoint.js';

const { values: flags } = parseArgs({
  options: {
    impl: { type: 'string', default: 'anypod' },
    redis: { type: 'string' },
    'key-prefix': { type: 'string' },
    postgres: { type: 'string' },
    'answer-timeout': { type: 'string' },
    port: { type: 'string', default: '0' }
  }
});

const answerTimeoutMs = flags['answer-timeout'] === undefined ? undefined : Number(flags['answer-timeout']);
const endpoint = await createEndpoint();

// The SDK's own app: it refuses foreign Host headers, as DNS rebinding would bring them, before it reads a body.
const app = createMcpExpressApp();
app.all('/mcp', (req, res) => endpoint.handle(req, res, req.body));
await runPod(app, {
  port: flags.port,
  leave: server => {
    server.close();
    return endpoint.close();
  }
});

async function createEndpoint(): Promise<Endpoint> {
  const createServer = () => createEverythingServer({ answerTimeoutMs });
  if (flags.impl === 'stock') return stockEndpoint(createServer);
  if (flags.impl !== 'anypod') throw new Error(`--impl is stock or anypod, not ${flags.impl}`);
  const { anypodEndpoint } = await import('./anypodEndpoint.js');
  const { redis, postgres } = flags;
  return anypodEndpoint(createServer, { redis, keyPrefix: flags['key-prefix'], postgres });
}
