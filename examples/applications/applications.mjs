/**
 * Published servers and frameworks on version 2 of the SDK, with sessions over Streamable HTTP in a map of the process. `before`
 * is how a user runs each, `after` what a user changes for sessions on any pod. README.md in this folder explains them.
 */

const SDK = {
  '@modelcontextprotocol/client': '^2.4.0',
  '@modelcontextprotocol/core': '^2.4.0',
  '@modelcontextprotocol/node': '^2.1.2',
  '@modelcontextprotocol/server': '^2.4.0'
};

const everything = 'node_modules/@modelcontextprotocol/server-everything/dist/index.js';

const mcpProxy = {
  row: 'mcp-proxy 6.7.19',
  name: 'mcp-proxy 6.7.19, in front of a stdio server',
  dependencies: { ...SDK, 'mcp-proxy': '6.7.19', '@modelcontextprotocol/server-everything': '2026.8.31' },
  before: {
    start: port => ['node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs', '--port', port, 'node', everything, 'stdio']
  },
  after: {
    start: () => ['main.js'],
    files: {
      'main.js': `
        import { createServer as createHttpServer } from 'node:http';
        import { Client } from '@modelcontextprotocol/client';
        import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
        import { Server } from '@modelcontextprotocol/server';
        import { Redis } from 'ioredis';
        import { proxyServer } from 'mcp-proxy';
        import { createMcpHandler, RedisSessionStore } from 'mcp-server-anypod';

        const client = new Client({ name: 'proxy', version: '1.0.0' });
        await client.connect(new StdioClientTransport({ command: 'node', args: ['${everything}', 'stdio'] }));
        async function createServer() {
          const serverCapabilities = client.getServerCapabilities();
          const server = new Server(client.getServerVersion(), { capabilities: serverCapabilities });
          await proxyServer({ client, server, serverCapabilities });
          return server;
        }
        const sessionStore = new RedisSessionStore({ redis: new Redis(process.env.REDIS_URL, { socketTimeout: 5000 }) });
        const handler = createMcpHandler(createServer, { sessionStore });
        createHttpServer(handler.node).listen(process.env.PORT, '127.0.0.1');`
    }
  },
  tool: { name: 'echo', arguments: { message: 'hello' } },
  modern: {}
};

const mongodb = {
  row: 'mongodb-mcp-server 3.0.4',
  name: 'mongodb-mcp-server 3.0.4',
  dependencies: { ...SDK, 'mongodb-mcp-server': '3.0.4', '@mongodb-js/mcp-cli': '3.0.4' },
  before: {
    start: port => [
      'node_modules/mongodb-mcp-server/dist/esm/index.js',
      ...['--transport', 'http', '--httpPort', port, '--telemetry', 'disabled']
    ]
  },
  after: {
    start: () => ['main.js'],
    files: {
      'main.js': `
        import * as cli from '@mongodb-js/mcp-cli';
        import { Redis } from 'ioredis';
        import { AllTools, packageInfo } from 'mongodb-mcp-server';
        import { createMcpHandler, RedisSessionStore } from 'mcp-server-anypod';

        const sessionStore = new RedisSessionStore({ redis: new Redis(process.env.REDIS_URL, { socketTimeout: 5000 }) });

        /** Has sessions on any pod in the place of the sessions of one process. */
        class PodServer extends cli.CliMcpHttpServer {
          createLegacyHandler() {
            const makeServer = async ({ requestInfo, authInfo }) => {
              const headers = Object.fromEntries(requestInfo.headers);
              const server = await this.createServerForRequest({ headers, authInfo, protocol: 'legacy' });
              await server.register();
              return server.mcpServer;
            };
            const handler = createMcpHandler(makeServer, { sessionStore, modern: 'refuse' });
            return { handle: (req, res) => handler.node(req, res, req.body), close: () => handler.close() };
          }
        }

        const args = ['--transport', 'http', '--telemetry', 'disabled'];
        const { parsed: config } = cli.parseUserConfig({ args });
        const keychain = cli.createKeychainFromConfig({ config });
        const logger = await cli.createLoggerFromConfig({ config, keychain });
        const parts = { config, keychain, logger, tools: AllTools, resources: cli.Resources, serverMetadata: packageInfo };
        const sharedServices = await cli.createSharedServicesFromConfig(parts);
        const http = { host: '127.0.0.1', port: Number(process.env.PORT), responseType: 'sse' };
        const connectionScope = cli.connectionScopeFromConfig(config);
        await new PodServer({ sharedServices, options: { http, connectionScope } }).start();`
    }
  },
  // It asks whether it may, and then finds that nobody has connected it to a database.
  tool: { name: 'drop-database', arguments: { connectionId: 'none', database: 'shop' } },
  answer: { confirmation: 'Yes' },
  says: 'Connection "none" does not exist',
  modern: {}
};

const nestApplication = transport => `
        import 'reflect-metadata';
        import { AsyncLocalStorage } from 'node:async_hooks';
        import { createRequire } from 'node:module';
        import { Module } from '@nestjs/common';
        import { NestFactory } from '@nestjs/core';
        import { Ctx } from '@nestjs/microservices';
        import { Redis } from 'ioredis';
        import { type McpContext, McpController, McpStrategy, StreamableHttpTransport, Tool } from '@rekog/mcp-nest';

        @McpController()
        class Shop {
          @Tool({ name: 'ask', description: 'Says what the user says' })
          async ask(@Ctx() ctx: McpContext) {
            const requestedSchema = { type: 'object', properties: { word: { type: 'string' } } };
            const { content } = await ctx.mcpServer.server.elicitInput({ message: 'Well?', requestedSchema });
            const { headers } = ctx.getRawRequest();
            return { content: [{ type: 'text', text: content.word + ' ' + headers['content-type'] }] };
          }

          @Tool({ name: 'type', description: 'Says the type of the request' })
          async type(@Ctx() ctx: McpContext) {
            return { content: [{ type: 'text', text: ctx.getRawRequest().headers['content-type'] }] };
          }
        }
${transport}
        const strategy = new McpStrategy({ name: 'shop', version: '1.0.0', transports: [transport] });
        @Module({ controllers: [Shop] })
        class App {}
        const app = await NestFactory.create(App);
        strategy.setHttpAdapter(app.getHttpAdapter());
        app.connectMicroservice({ strategy });
        await app.startAllMicroservices();
        await app.listen(Number(process.env.PORT), '127.0.0.1');`;

const nestFiles = transport => ({
  'main.ts': nestApplication(transport),
  'tsconfig.json': JSON.stringify({ compilerOptions: { experimentalDecorators: true, module: 'nodenext' } })
});

const mcpNest = {
  row: '@rekog/mcp-nest 2.0.5',
  name: '@rekog/mcp-nest 2.0.5, statefulMode',
  dependencies: {
    ...SDK,
    '@nestjs/common': '^11.0.0',
    '@nestjs/core': '^11.0.0',
    '@nestjs/microservices': '^11.0.0',
    '@nestjs/platform-express': '^11.0.0',
    '@rekog/mcp-nest': '2.0.5',
    express: '^5.0.0',
    'reflect-metadata': '^0.2.2',
    rxjs: '^7.8.2',
    tsx: '^4.23.15',
    zod: '^4.3.5'
  },
  before: {
    start: () => ['--import', 'tsx', 'main.ts'],
    files: nestFiles('        const transport = new StreamableHttpTransport({ statefulMode: true });')
  },
  after: {
    start: () => ['--import', 'tsx', 'main.ts'],
    files: nestFiles(`
        // The framework is CommonJS. This gives both the same copy of the SDK.
        const { createMcpHandler, RedisSessionStore } = createRequire(import.meta.url)('mcp-server-anypod');
        const sessionStore = new RedisSessionStore({ redis: new Redis(process.env.REDIS_URL, { socketTimeout: 5000 }) });
        const current = new AsyncLocalStorage();
        // A server serves many requests: guards and tools see the one that is served.
        const rawRequest = new Proxy({}, { get: (_target, key) => current.getStore()?.[key] });

        const transport = {
          kind: 'streamable-http',
          start(ctx) {
            this.handler = createMcpHandler(
              ({ era }) => ctx.createBoundServer({ transport: 'streamable-http', stateless: era === 'modern', era }, rawRequest),
              { sessionStore }
            );
            const serve = (req, res) => current.run(req, () => this.handler.node(req, res, req.body));
            for (const method of ['get', 'post', 'delete']) ctx.httpAdapter[method]('/mcp', serve);
          },
          close() {
            return this.handler.close({ drainMs: 10_000 });
          },
          notifyListChanged(kind) {
            this.handler.notify[kind + 'Changed']();
          }
        };`)
  },
  tool: { name: 'ask', arguments: {} },
  answer: { word: 'hello' },
  says: 'hello application/json',
  // The framework turns the result that asks a 2026-07-28 client into text.
  modern: { tool: { name: 'type', arguments: {} }, says: 'application/json', answer: undefined }
};

export const applications = [mcpProxy, mongodb, mcpNest];
