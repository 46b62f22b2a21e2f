export { Server } from '@modelcontextprotocol/sdk/server/index.js';
export { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
export { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
export { McpError } from '@modelcontextprotocol/sdk/types.js';
