import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import type { CallToolResult, ElicitRequestFormParams } from 'mcp-sdk-upstream/types.js';
import { z } from 'zod';

type Properties = ElicitRequestFormParams['requestedSchema']['properties'];

const user: Properties = {
  username: { type: 'string', description: "The user's name" },
  email: { type: 'string', description: "The user's address" }
};

/** A default for each primitive type (SEP-1034). */
const withDefaults: Properties = {
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true }
};

const titled = ['First', 'Second', 'Third'].map((title, index) => ({ const: `value${index + 1}`, title }));

/** Each way to write a choice (SEP-1330). */
const choices: Properties = {
  untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  titledSingle: { type: 'string', oneOf: titled },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2'], enumNames: ['Option One', 'Option Two'] },
  untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
  titledMulti: { type: 'array', items: { anyOf: titled } }
};

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

  for (const [name, properties] of Object.entries({
    test_elicitation_sep1034_defaults: withDefaults,
    test_elicitation_sep1330_enums: choices
  })) {
    server.registerTool(name, { description: 'Elicits a form and returns what came' }, async ({ requestId }) =>
      answer('Elicitation completed', await elicit(requestId, 'Please fill in the form', properties))
    );
  }
}

function answer(what: string, value: object): CallToolResult {
  return { content: [{ type: 'text', text: `${what}: ${JSON.stringify(value)}` }] };
}
