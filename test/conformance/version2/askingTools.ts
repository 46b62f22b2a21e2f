import {
  type CallToolResult,
  type InputRequest,
  inputRequired,
  type InputRequests,
  type InputRequiredResult,
  inputResponse,
  type McpServer,
  type RequestStateCodec,
  type ServerContext
} from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { description, forms, type Properties, user } from '../content.js';

const name = elicit({ name: { type: 'string' } });
const confirm = elicit({ ok: { type: 'boolean' } });
const color = elicit({ color: { type: 'string' } });
const roots = inputRequired.listRoots();

/** What each tool asks for, in one round. It returns what it is answered. */
const asked: Record<string, InputRequests> = {
  ...Object.fromEntries(Object.entries(forms).map(([tool, form]) => [tool, { form: elicit(form) }])),
  test_missing_capability: { answer: sample('Say something') },
  test_input_required_result_elicitation: { user_name: name },
  test_input_required_result_sampling: { capital_question: sample('What is the capital of France?') },
  test_input_required_result_list_roots: { client_roots: roots }
};

/**
 * The tools that need the client's answer. They are written once: a client of 2026-07-28 sends its answer with the next
 * call, and a 2025 client is asked by the SDK.
 */
export function registerAskingTools(server: McpServer, codec: RequestStateCodec<unknown>): void {
  for (const [tool, requests] of Object.entries(asked)) {
    server.registerTool(tool, { description }, ctx => stillMissing(requests, ctx) ?? answered(ctx));
  }
  server.registerTool(
    'test_sampling',
    { description, inputSchema: z.object({ prompt: z.string() }) },
    ({ prompt }, ctx) => {
      return stillMissing({ answer: sample(prompt) }, ctx) ?? answered(ctx);
    }
  );
  server.registerTool(
    'test_elicitation',
    { description, inputSchema: z.object({ message: z.string() }) },
    ({ message }, ctx) => {
      return stillMissing({ answer: elicit(user, message) }, ctx) ?? answered(ctx);
    }
  );

  server.registerTool('test_input_required_result_capabilities', { description }, ctx => {
    const { elicitation, sampling } = server.server.getClientCapabilities() ?? {};
    const requests = { ...(elicitation && { user_name: name }), ...(sampling && { greeting: sample('Greet') }) };
    return stillMissing(requests, ctx) ?? answered(ctx);
  });
  registerToolsWithState(server, codec);
}

/** Those that give the client a state to send back with its answer. */
function registerToolsWithState(server: McpServer, codec: RequestStateCodec<unknown>): void {
  const withState = (tool: string, ...rounds: InputRequests[]): void => {
    server.registerTool(tool, { description }, async ctx => {
      const round = ctx.mcpReq.requestState<number>() ?? 0;
      const inputRequests = rounds[round];
      if (!inputRequests) return answered(ctx, 'state-ok');
      return inputRequired({ inputRequests, requestState: await codec.mint(round + 1, ctx) });
    });
  };
  withState('test_input_required_result_request_state', { confirm });
  withState('test_input_required_result_tampered_state', { confirm });
  withState('test_input_required_result_multi_round', { step1: name }, { step2: color });
  withState('test_input_required_result_multiple_inputs', {
    user_name: name,
    greeting: sample('Greet'),
    client_roots: roots
  });
}

/** What is to be asked if an answer is not there, or is of another kind. */
export function stillMissing(inputRequests: InputRequests, { mcpReq }: ServerContext): InputRequiredResult | undefined {
  const isThere = (key: string): boolean => inputResponse(mcpReq.inputResponses, key).kind !== 'missing';
  return Object.keys(inputRequests).every(isThere) ? undefined : inputRequired({ inputRequests });
}

export function elicit(properties: Properties, message = 'Please fill in the form'): InputRequest {
  return inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties, required: Object.keys(properties) }
  });
}

function sample(text: string): InputRequest {
  return inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens: 100 });
}

function answered({ mcpReq }: ServerContext, what = 'Answered'): CallToolResult {
  return { content: [{ type: 'text', text: `${what}: ${JSON.stringify(mcpReq.inputResponses)}` }] };
}
