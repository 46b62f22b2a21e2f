export * from 'mcp-sdk-upstream/server';
export { McpServer, ResourceTemplate } from 'mcp-sdk-upstream/server/mcp.js';
export * from '../index.js';
