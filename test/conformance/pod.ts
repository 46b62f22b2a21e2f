import { parseArgs } from 'node:util';
import { createMcpExpressApp } from 'mcp-sdk-upstream/server/express.js';
import { runPod } from '../support/pods/runPod.js';
import type { Endpoint } from './endpoint.js';
import { createEverythingServer } from './everythingServer.js';
import { stockEndpoint } from './stockEndpoint.js';

const { values: flags } = parseArgs({
  options: {
    /** The version of the SDK. */
    sdk: { type: 'string', default: '1' },
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
  const { redis, postgres } = flags;
  const options = { redis, keyPrefix: flags['key-prefix'], postgres };
  // Stock pods load nothing of this package.
  switch (`${flags.impl} ${flags.sdk}`) {
    case 'stock 1':
      return stockEndpoint(createServer);
    case 'anypod 1':
      return (await import('./anypodEndpoint.js')).anypodEndpoint(createServer, options);
    case 'stock 2':
      return (await import('./version2/stockEndpoint.js')).stockEndpoint();
    case 'anypod 2':
      return (await import('./version2/anypodEndpoint.js')).anypodEndpoint(options);
    default:
      throw new Error(`There is no --impl ${flags.impl} for --sdk ${flags.sdk}`);
  }
}
