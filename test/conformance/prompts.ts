import { completable } from 'mcp-sdk-upstream/server/completable.js';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { z } from 'zod';
import { argumentsPrompt, beginsWith, embeddedPrompt, prompts } from './content.js';

export function registerPrompts(server: McpServer): void {
  for (const [name, prompt] of Object.entries(prompts)) {
    server.registerPrompt(name, { description: 'A prompt without arguments' }, () => prompt);
  }

  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'A prompt with two arguments, the first with completion',
      argsSchema: { arg1: completable(z.string(), beginsWith), arg2: z.string() }
    },
    ({ arg1, arg2 }) => argumentsPrompt(arg1, arg2)
  );

  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt with a resource in it', argsSchema: { resourceUri: z.string() } },
    ({ resourceUri }) => embeddedPrompt(resourceUri)
  );
}
