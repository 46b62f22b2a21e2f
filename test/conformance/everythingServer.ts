import { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { registerAskingTools } from './askingTools.js';
import { registerPrompts } from './prompts.js';
import { registerResources } from './resources.js';
import { registerTools } from './tools.js';

export interface EverythingServerOptions {
  /** How long a tool waits for the client's answer to sampling or elicitation. @default the SDK's 60 s */
  answerTimeoutMs?: number;
}

/** A server with everything that the scenarios of the conformance suite call. */
export function createEverythingServer(options: EverythingServerOptions = {}): McpServer {
  const server = new McpServer({ name: 'everything', version: '1.0.0' }, { capabilities: { logging: {} } });
  registerTools(server);
  registerAskingTools(server, options.answerTimeoutMs);
  registerResources(server);
  registerPrompts(server);
  return server;
}
