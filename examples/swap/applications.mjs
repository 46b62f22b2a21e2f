/** Published servers and frameworks with sessions over Streamable HTTP on the SDK's v1, as they are on npm. */

const SDK = '@modelcontextprotocol/sdk';

/** `row` is its row in README.md; `files` is what a user of a framework writes; `start` runs one pod, on PORT; `tool` is called through the client. */
export const applications = [
  {
    row: '@modelcontextprotocol/server-everything 2026.8.31',
    name: '@modelcontextprotocol/server-everything 2026.8.31',
    dependencies: { '@modelcontextprotocol/server-everything': '2026.8.31' },
    start: () => ['node_modules/@modelcontextprotocol/server-everything/dist/index.js', 'streamableHttp'],
    tool: { name: 'echo', arguments: { message: 'hello' } }
  },
  {
    row: 'supergateway 3.4.3',
    name: 'supergateway 3.4.3, in front of a stdio server',
    dependencies: { supergateway: '3.4.3', '@modelcontextprotocol/server-everything': '2026.8.31' },
    start: port => [
      'node_modules/supergateway/dist/index.js',
      ...['--stdio', 'node node_modules/@modelcontextprotocol/server-everything/dist/index.js stdio'],
      ...['--outputTransport', 'streamableHttp', '--stateful', '--port', port]
    ],
    tool: { name: 'echo', arguments: { message: 'hello' } }
  },
  {
    row: 'mcp-framework 0.2.22',
    name: 'mcp-framework 0.2.22',
    dependencies: { 'mcp-framework': '0.2.22', [SDK]: '1.32.2', zod: '^3.25.0' },
    files: {
      'main.js': `
        import { MCPServer } from 'mcp-framework';
        const options = { port: Number(process.env.PORT), endpoint: '/mcp', session: { enabled: true } };
        const transport = { type: 'http-stream', options };
        await new MCPServer({ name: 'app', version: '1.0.0', basePath: process.cwd() + '/dist', transport }).start();`,
      'dist/tools/EchoTool.js': `
        import { MCPTool } from 'mcp-framework';
        import { z } from 'zod';
        export default class EchoTool extends MCPTool {
          name = 'echo';
          description = 'Says what it is told';
          schema = z.object({ message: z.string().describe('What to say') });
          async execute({ message }) { return message; }
        }`
    },
    start: () => ['main.js'],
    tool: { name: 'echo', arguments: { message: 'hello' } }
  }
];

/** The lines that make server-everything serve a session on any pod, in place of its 200 with the transports map. */
export const fewLines = {
  row: '@modelcontextprotocol/server-everything 2026.8.31',
  name: 'server-everything 2026.8.31, with 8 lines',
  dependencies: { '@modelcontextprotocol/server-everything': '2026.8.31', ioredis: '^6.0.0', express: '^5.0.0' },
  files: {
    'main.js': `
      import express from 'express';
      import { Redis } from 'ioredis';
      import { createMcpHandler, RedisSessionStore } from '@modelcontextprotocol/sdk/server';
      import { createServer } from './node_modules/@modelcontextprotocol/server-everything/dist/server/index.js';

      const sessionStore = new RedisSessionStore({ redis: new Redis(process.env.REDIS_URL) });
      const handler = createMcpHandler(() => createServer().server, { sessionStore });
      express().all('/mcp', (req, res) => handler.node(req, res)).listen(process.env.PORT);`
  },
  start: () => ['main.js'],
  tool: { name: 'echo', arguments: { message: 'hello' } }
};
