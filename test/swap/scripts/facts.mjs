/**
 * What an application finds under the name of the SDK: `node facts.mjs <name>` prints it as JSON.
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const name = process.argv[2];
const require = createRequire(import.meta.url);

const { Client } = await import(`${name}/client/index.js`);
const { StreamableHTTPClientTransport } = await import(`${name}/client/streamableHttp.js`);
const { StreamableHTTPServerTransport } = await import(`${name}/server/streamableHttp.js`);
const { McpServer } = await import(`${name}/server/mcp.js`);
const additions = await import(`${name}/server`);

const facts = {
  fork: 'isUsingExternalSessionStore' in StreamableHTTPServerTransport.prototype,
  sessionOnTwoPods: await sessionOnTwoPods(),
  dependent: await dependentHas('import', path => import(path)),
  dependentRequired: await dependentHas('require', async path => require(path))
};
console.log(JSON.stringify(facts));
process.exit(0);

/** Which of the SDK's classes are the same for the application and for the package that depends on the SDK. */
async function dependentHas(how, load) {
  const dependent = await load('sdk-dependent').catch(() => undefined);
  if (!dependent) return undefined;
  const own = {
    Server: (await load(`${name}/server/index.js`)).Server,
    McpServer: (await load(`${name}/server/mcp.js`)).McpServer,
    StreamableHTTPServerTransport: (await load(`${name}/server/streamableHttp.js`)).StreamableHTTPServerTransport,
    McpError: (await load(`${name}/types.js`)).McpError
  };
  const instances = new dependent.McpServer({ name: how, version: '1' }).server instanceof own.Server;
  return instances && Object.keys(own).every(each => own[each] === dependent[each]);
}

/** A client whose requests take turns between two pods that share a store. */
async function sessionOnTwoPods() {
  const sessionStore = new additions.InMemorySessionStore();
  const pods = await Promise.all([0, 1].map(pod => listen(handlerOf(pod, sessionStore))));
  let turn = 0;
  const transport = new StreamableHTTPClientTransport(new URL('http://pods/mcp'), {
    fetch: (_, init) => fetch(`http://127.0.0.1:${pods[turn++ % 2].address().port}/mcp`, init)
  });
  const client = new Client({ name: 'facts', version: '1' });
  await client.connect(transport);
  const seen = new Set();
  while (turn < 9) seen.add((await client.callTool({ name: 'pod' })).content[0].text);
  await client.close();
  return [...seen].sort().join();
}

function handlerOf(pod, sessionStore) {
  const serverOf = () => {
    const server = new McpServer({ name: 'facts', version: '1' });
    server.registerTool('pod', {}, () => ({ content: [{ type: 'text', text: `pod ${pod}` }] }));
    return server;
  };
  return additions.createMcpHandler(serverOf, { sessionStore }).node;
}

async function listen(listener) {
  const server = createServer(listener);
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return server;
}
