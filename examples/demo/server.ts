import { McpServer } from 'mcp-sdk-anypod/server';

/** What `whoami` answers: which pod the call reached, and what the server on that pod knows of its client. */
export interface WhoAmI {
  pod: string;
  /** Whether this pod rebuilt the session, rather than opened it. */
  recovered: boolean;
  /** Name and version. */
  client: string;
  capabilities: string[];
}

/** The demo's MCP server. There is one for each session on each pod that has served it. */
export function createWhoAmIServer(pod: string, recovered: boolean): McpServer {
  const mcp = new McpServer({ name: 'whoami', version: '1.0.0' });
  mcp.registerTool('whoami', { description: 'Which pod is this, and what does it know of me?' }, () => {
    const client = mcp.server.getClientVersion();
    const answer: WhoAmI = {
      pod,
      recovered,
      client: client ? `${client.name} ${client.version}` : 'unknown client',
      capabilities: Object.keys(mcp.server.getClientCapabilities() ?? {}).sort()
    };
    return { content: [{ type: 'text', text: JSON.stringify(answer) }], structuredContent: { ...answer } };
  });
  return mcp;
}
