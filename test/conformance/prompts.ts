import { completable } from 'mcp-sdk-upstream/server/completable.js';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import type { GetPromptResult, PromptMessage } from 'mcp-sdk-upstream/types.js';
import { z } from 'zod';
import { redPixelPng } from './media.js';

export function registerPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'A prompt without arguments' }, () =>
    prompt(text('Say something simple'))
  );

  const beginsWith = (value: string) => ['test', 'testing', 'tester'].filter(word => word.startsWith(value));
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'A prompt with two arguments, the first with completion',
      argsSchema: { arg1: completable(z.string(), beginsWith), arg2: z.string() }
    },
    ({ arg1, arg2 }) => prompt(text(`The arguments are '${arg1}' and '${arg2}'`))
  );

  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt with a resource in it', argsSchema: { resourceUri: z.string() } },
    ({ resourceUri: uri }) =>
      prompt({ type: 'resource', resource: { uri, mimeType: 'text/plain', text: 'Embedded' } }, text('Read the above'))
  );

  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with an image in it' }, () =>
    prompt({ type: 'image', data: redPixelPng, mimeType: 'image/png' }, text('Describe the image'))
  );
}

function text(text: string): PromptMessage['content'] {
  return { type: 'text', text };
}

function prompt(...contents: PromptMessage['content'][]): GetPromptResult {
  return { messages: contents.map(content => ({ role: 'user', content })) };
}
