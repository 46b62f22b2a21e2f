import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import type { CallToolResult } from 'mcp-sdk-upstream/types.js';
import { z } from 'zod';
import { forms, type Properties, user } from './content.js';

/** The tools that need the client's answer, to sampling or elicitation, before they can give theirs. */
export function registerAskingTools(server: McpServer, timeout?: number): void {
  server.registerTool(
    'test_sampling',
    { description: "Returns the answer of the client's model", inputSchema: { prompt: z.string() } },
    async ({ prompt }, { requestId }) => {
      const { content } = await server.server.createMessage(
        { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 },
        { relatedRequestId: requestId, timeout }
      );
      return answer('LLM response', content);
    }
  );

  const elicit = async (
    relatedRequestId: string | number,
    message: string,
    properties: Properties,
    required?: string[]
  ) =>
    server.server.elicitInput(
      { message, requestedSchema: { type: 'object', properties, required } },
      { relatedRequestId, timeout }
    );

  server.registerTool(
    'test_elicitation',
    { description: 'Returns what the user entered', inputSchema: { message: z.string() } },
    async ({ message }, { requestId }) =>
      answer('User response', await elicit(requestId, message, user, Object.keys(user)))
  );

  for (const [name, properties] of Object.entries(forms)) {
    server.registerTool(name, { description: 'Elicits a form and returns what came' }, async ({ requestId }) =>
      answer('Elicitation completed', await elicit(requestId, 'Please fill in the form', properties))
    );
  }
}

function answer(what: string, value: object): CallToolResult {
  return { content: [{ type: 'text', text: `${what}: ${JSON.stringify(value)}` }] };
}
