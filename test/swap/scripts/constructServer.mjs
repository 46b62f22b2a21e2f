/** Makes a transport of mcp-server-anypod twice, as ESM and as CommonJS, and prints as JSON what it says. */
import { createRequire } from 'node:module';

const found = [];
process.on('warning', ({ code, message }) => found.push({ code, message }));
const require = createRequire(import.meta.url);
for (const load of [() => import('mcp-server-anypod'), () => require('mcp-server-anypod')]) {
  try {
    const { NodeStreamableHTTPServerTransport } = await load();
    new NodeStreamableHTTPServerTransport();
  } catch ({ code, message }) {
    found.push({ code, message });
  }
}
setImmediate(() => console.log(JSON.stringify(found)));
