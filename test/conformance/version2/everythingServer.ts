import { completable, McpServer, type RequestStateCodec, ResourceTemplate } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { argumentsPrompt, beginsWith, description, embeddedPrompt, prompts, texts } from '../content.js';
import { redPixelPng } from '../media.js';
import { elicit, registerAskingTools, stillMissing } from './askingTools.js';
import { registerTools } from './tools.js';

/** What a server needs from the process that it runs in. */
export interface EverythingServerParts {
  notify: { readonly toolsChanged: () => unknown; readonly promptsChanged: () => unknown };
  codec: RequestStateCodec<unknown>;
}

/** A server of version 2 with everything that the scenarios of the conformance suites call. */
export function createEverythingServer({ notify, codec }: EverythingServerParts): McpServer {
  const listChanged = true;
  const capabilities = {
    logging: {},
    tools: { listChanged },
    prompts: { listChanged },
    resources: { listChanged, subscribe: true }
  };
  const server = new McpServer(
    { name: 'everything', version: '1.0.0' },
    { capabilities, requestState: { verify: (state, ctx) => codec.verify(state, ctx) } }
  );
  registerTools(server, notify);
  registerAskingTools(server, codec);
  registerResources(server);
  registerPrompts(server);
  return server;
}

function registerResources(server: McpServer): void {
  for (const [name, text] of Object.entries(texts)) {
    const mimeType = 'text/plain';
    server.registerResource(name, `test://${name}`, { description: text, mimeType }, ({ href }) => ({
      contents: [{ uri: href, mimeType, text }]
    }));
  }
  const mimeType = 'image/png';
  server.registerResource('static-binary', 'test://static-binary', { mimeType }, ({ href }) => ({
    contents: [{ uri: href, mimeType, blob: redPixelPng }]
  }));
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const json = { mimeType: 'application/json' };
  server.registerResource('template', template, json, ({ href }, { id }) => ({
    contents: [{ uri: href, mimeType: json.mimeType, text: JSON.stringify({ id }) }]
  }));
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
}

function registerPrompts(server: McpServer): void {
  for (const [name, prompt] of Object.entries(prompts)) {
    server.registerPrompt(name, { description }, () => prompt);
  }
  const argsSchema = z.object({ arg1: completable(z.string(), beginsWith), arg2: z.string() });
  server.registerPrompt('test_prompt_with_arguments', { description, argsSchema }, ({ arg1, arg2 }) =>
    argumentsPrompt(arg1, arg2)
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description, argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => embeddedPrompt(resourceUri)
  );
  const context = { user_context: elicit({ context: { type: 'string' } }) };
  server.registerPrompt(
    'test_input_required_result_prompt',
    { description },
    ctx => stillMissing(context, ctx) ?? prompts.test_simple_prompt!
  );
}
