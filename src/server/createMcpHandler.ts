import { AjvJsonSchemaValidator } from 'mcp-sdk-upstream/validation/ajv-provider.js';
import type { Dialect } from '../engine/dialect.js';
import { assembleHandler, type McpHandler, type McpHandlerOptions } from '../handler/mcpHandler.js';
import type { ServerFactory } from '../handler/serverFactory.js';
import { SharedJsonSchemaValidator } from '../handler/sharedValidator.js';
import { V1 } from './dialect.js';
import { StreamableHTTPServerTransport } from './streamableHttp.js';

/** Only handlers make servers, so a bundle of the transports has no validator. */
const DIALECT: Dialect = {
  ...V1,
  newValidator: () => new SharedJsonSchemaValidator(() => new AjvJsonSchemaValidator())
};

/**
 * Keeps one live server and transport per session on this pod. `initialize` opens a session; a session that began on
 * another pod is recovered from the store; an idle session is forgotten. Authenticate requests before they reach the
 * handler: a request that the framework has refused then costs no look-up and no recovery.
 * @throws InvalidOptionError
 * @throws UnsupportedRuntimeError on a Node that is too old
 */
export function createMcpHandler(serverFactory: ServerFactory, options: McpHandlerOptions = {}): McpHandler {
  return assembleHandler(serverFactory, options, {
    dialect: DIALECT,
    newTransport: resolved => new StreamableHTTPServerTransport(resolved)
  }).handler;
}
