export * from 'mcp-sdk-upstream/server/index.js';
export { McpServer, ResourceTemplate } from 'mcp-sdk-upstream/server/mcp.js';
export * from '../index.js';
