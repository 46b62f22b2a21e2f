/** NestJS: `PORT=3001 npx tsx examples/frameworks/nestjs.ts` */
import 'reflect-metadata';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { All, Controller, Inject, Module, type OnApplicationShutdown, Req, Res } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request, Response } from 'express';
import type { McpHandler } from 'mcp-sdk-anypod/server';
import { allowOrigin } from './cors.js';
import { handler, port } from './mcp.js';

const MCP_HANDLER = Symbol('MCP_HANDLER');

@Controller('mcp')
class McpController implements OnApplicationShutdown {
  constructor(@Inject(MCP_HANDLER) private readonly mcp: McpHandler) {}

  @All()
  async handle(@Req() req: Request, @Res() res: Response): Promise<void> {
    if (!allowOrigin(req, res)) await this.mcp.node(req, res, req.body);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.mcp.close();
  }
}

@Module({ controllers: [McpController], providers: [{ provide: MCP_HANDLER, useValue: handler }] })
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error'], forceCloseConnections: true });
app.enableShutdownHooks();
await app.listen(port, '127.0.0.1');
console.log(`listening ${((app.getHttpServer() as Server).address() as AddressInfo).port}`);
