import { McpServer, type ServerContext } from 'mcp-sdk-anypod/server';
import { z } from 'zod';

const TOOLS = 20;
const description = 'Looks up what the shop knows about an article, and returns it as text.';

/** Of each tool. The first one is the echo tool of the other servers. */
function shapeOf() {
  return { text: z.string(), limit: z.number().optional(), order: z.enum(['price', 'name']).optional() };
}

const nameOf = (tool: number): string => (tool === 0 ? 'echo' : `tool-${tool}`);

/** A server of 20 tools as in the SDK's documents: each session's server makes its own schemas. */
export function toolsOfEachServer(): McpServer {
  const server = new McpServer({ name: 'shop', version: '1' });
  for (let tool = 0; tool < TOOLS; tool++) {
    server.registerTool(nameOf(tool), { description, inputSchema: shapeOf() }, ({ text }) => ({
      content: [{ type: 'text', text }]
    }));
  }
  return server;
}

const schemas = Array.from({ length: TOOLS }, () => z.object(shapeOf()));

/** The same server as this package advises: the pod makes the schemas once, and all servers share its validator. */
export function toolsOfThePod({ jsonSchemaValidator }: Pick<ServerContext, 'jsonSchemaValidator'>): McpServer {
  const server = new McpServer({ name: 'shop', version: '1' }, { jsonSchemaValidator });
  for (const [tool, inputSchema] of schemas.entries()) {
    server.registerTool(nameOf(tool), { description, inputSchema }, ({ text }) => ({
      content: [{ type: 'text', text }]
    }));
  }
  return server;
}
