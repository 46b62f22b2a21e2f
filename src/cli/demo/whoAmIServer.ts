import { McpServer } from '../../server/index.js';

/** The answer of `whoami`: the pod that the call reached, and what the server on it knows of its client. */
export interface WhoAmI {
  pod: string;
  /** Whether this pod recovered the session instead of opening it. */
  recovered: boolean;
  /** Name and version of the client. */
  client: string;
  capabilities: string[];
}

/** The demo's MCP server. Each pod has one for each session that it has served. */
export function createWhoAmIServer(pod: string, recovered: boolean): McpServer {
  const mcp = new McpServer({ name: 'whoami', version: '1.0.0' }, { capabilities: { logging: {} } });
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
  mcp.registerTool('ask', { description: 'Asks the user for a color.' }, async extra => {
    const requestedSchema = { type: 'object' as const, properties: { color: { type: 'string' as const } } };
    const message = 'Which color do you like?';
    const answer = await mcp.server.elicitInput({ message, requestedSchema }, { relatedRequestId: extra.requestId });
    return { content: [], structuredContent: { pod, color: String(answer.content?.color) } };
  });
  mcp.registerTool('announce', { description: 'Sends news on the GET stream.' }, async () => {
    await mcp.server.sendLoggingMessage({ level: 'info', data: `news of ${pod}` });
    return { content: [], structuredContent: { pod } };
  });
  return mcp;
}
