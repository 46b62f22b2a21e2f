import { setTimeout as delay } from 'node:timers/promises';
import { type CallToolResult, fromJsonSchema, type McpServer } from '@modelcontextprotocol/server';
import { description, toolContents } from '../content.js';
import type { EverythingServerParts } from './everythingServer.js';

/** The pause between two notifications of a tool: long enough for each to arrive as a chunk of its own. */
const pauseMs = 50;

/** The tools that answer from what they have, with or without notifications on the way. */
export function registerTools(server: McpServer, notify: EverythingServerParts['notify']): void {
  for (const [name, content] of Object.entries(toolContents))
    server.registerTool(name, { description }, () => ({ content }));
  server.registerTool('test_streaming_elicitation', { description }, () => text('Asks nothing'));
  server.registerTool('test_error_handling', { description }, () => {
    throw new Error('This tool fails on purpose');
  });
  // The suite reads the schemas of these two in `tools/list`.
  server.registerTool('json_schema_2020_12_tool', { description, inputSchema: fromJsonSchema(contact) }, () =>
    text('Hello')
  );
  const region = { type: 'string', 'x-mcp-header': 'Region' };
  const inputSchema = fromJsonSchema<{ region?: string }>({ type: 'object', properties: { region } });
  server.registerTool('test_x_mcp_header', { description, inputSchema }, ({ region }) =>
    text(`The region is ${region}`)
  );

  registerNotifyingTools(server);
  server.registerTool('test_trigger_tool_change', { description }, async () => {
    await notify.toolsChanged();
    return text('The tools have changed');
  });
  server.registerTool('test_trigger_prompt_change', { description }, async () => {
    await notify.promptsChanged();
    return text('The prompts have changed');
  });
}

/** With keywords that only JSON Schema 2020-12 has. */
const contact = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object' as const,
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } }
    }
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' }
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false
};

function registerNotifyingTools(server: McpServer): void {
  server.registerTool('test_tool_with_logging', { description }, async ({ mcpReq }) => {
    for (const [index, data] of ['started', 'working', 'done'].entries()) {
      if (index > 0) await delay(pauseMs);
      await mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } });
    }
    return text('Logged');
  });

  // Clients of 2026-07-28 get it only if they have asked for a level.
  server.registerTool('test_logging_tool', { description }, async ({ mcpReq }) => {
    await mcpReq.log('info', 'Logged');
    return text('Logged');
  });

  server.registerTool('test_tool_with_progress', { description }, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progress > 0) await delay(pauseMs);
      if (progressToken === undefined) continue;
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
    }
    return text('Progressed');
  });

  server.registerTool('test_reconnection', { description }, async ({ http }) => {
    await delay(pauseMs);
    http?.closeSSE?.();
    await delay(pauseMs);
    return text('Answered after the reconnection');
  });
}

function text(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] };
}
