/**
 * An application of version 2 of the SDK with two pods in one process: a 2025 client and a 2026 client call each in turn.
 * Also what the package says about mistakes. Prints it as JSON. Usage: node serverPackage.mjs
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { McpServer } from '@modelcontextprotocol/server';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import * as anypod from 'mcp-server-anypod';
import { sessionStoreContract } from 'mcp-server-anypod/testing';

const require = createRequire(import.meta.url);
const cjs = require('mcp-server-anypod');
const warnings = [];
process.on('warning', ({ code, message }) => warnings.push(`${code}: ${message}`));

const services = await anypod.createSessionServices({ preferMemory: true });
const makeServer =
  (pod, Server = McpServer) =>
  () => {
    const server = new Server({ name: 'installed', version: '1' });
    server.registerTool('where', {}, () => ({ content: [{ type: 'text', text: pod }] }));
    return server;
  };
// The ESM and the CommonJS build serve the same sessions.
const pods = [
  anypod.createMcpHandler(makeServer('esm'), services),
  cjs.createMcpHandler(makeServer('cjs', require('@modelcontextprotocol/server').McpServer), services)
];
let turn = 0;
const server = createServer((req, res) => void pods[turn++ % 2].node(req, res)).listen(0);
await new Promise(resolve => server.on('listening', resolve));

const answers = {};
for (const mode of [undefined, 'auto']) {
  const client = new Client({ name: 'client', version: '1' }, mode && { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${server.address().port}/mcp`)));
  const seen = new Set();
  for (let call = 0; call < 4; call++) seen.add((await client.callTool({ name: 'where' })).content[0].text);
  answers[mode ?? 'sessions'] = [...seen].sort();
  await client.close();
}
server.closeAllConnections();
server.close();
await Promise.all(pods.map(pod => pod.close({ drainMs: 0 })));
await services.close();

// Only if version 1 is installed beside it.
const first = await import('mcp-sdk-anypod').catch(() => undefined);
const mistakes = {};
if (first) {
  attempt(
    'a store of the other package',
    () => new anypod.NodeStreamableHTTPServerTransport({ sessionStore: new first.InMemorySessionStore() })
  );
  attempt(
    'a store for the other package',
    () => new first.StreamableHTTPServerTransport({ sessionStore: new anypod.InMemorySessionStore() })
  );
  attempt('an event store of the other package', () =>
    anypod.createMcpHandler(makeServer(''), {
      sessionStore: new anypod.InMemorySessionStore(),
      eventStore: new first.InMemoryEventStore()
    })
  );
  attempt('an encrypted store of the other package', () =>
    anypod.createMcpHandler(makeServer(''), {
      sessionStore: first.encryptSessionStore(new first.InMemorySessionStore(), { keys: [new Uint8Array(32)] })
    })
  );
  attempt('a bus of the other package', () => new anypod.SharedServerEventBus({ bus: new first.InMemorySessionBus() }));
}
console.log(
  JSON.stringify({
    answers,
    mistakes,
    warnings,
    testing: typeof sessionStoreContract,
    same:
      Object.keys(cjs).sort().join() ===
      Object.keys(anypod)
        .filter(name => name !== 'default' && name !== 'module.exports')
        .sort()
        .join()
  })
);

function attempt(what, action) {
  try {
    action();
    mistakes[what] = 'accepted';
  } catch ({ code, message }) {
    mistakes[what] = `${code}: ${message}`;
  }
}
