/** A pod over a FileSessionStore: `filePod.ts <port> <path>` */
import { createMcpHandler, FileSessionStore } from 'mcp-sdk-anypod/server';
import { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { runPod } from './runPod.js';

const [port, path] = process.argv.slice(2) as [string, string];

const handler = createMcpHandler(
  () => {
    const mcp = new McpServer({ name: 'file-pod', version: '1.0.0' });
    mcp.registerTool('whoami', {}, () => ({
      content: [{ type: 'text', text: `${mcp.server.getClientVersion()?.name} on ${process.pid}` }]
    }));
    return mcp;
  },
  { sessionStore: new FileSessionStore({ path }), onerror: error => console.error(error) }
);

await runPod((req, res) => void handler.node(req, res), { port });
