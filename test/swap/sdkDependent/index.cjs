const { Server } = require('@modelcontextprotocol/sdk/server/index.js');
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { McpError } = require('@modelcontextprotocol/sdk/types.js');
module.exports = { Server, McpServer, StreamableHTTPServerTransport, McpError };
