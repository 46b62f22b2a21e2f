import { setTimeout as delay } from 'node:timers/promises';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import type { CallToolResult } from 'mcp-sdk-upstream/types.js';
import { z } from 'zod';
import { toolContents } from './content.js';

/** The pause between two notifications of a tool: long enough for each to arrive as a chunk of its own. */
const pauseMs = 50;

/** The tools that answer from what they have, with or without notifications on the way. */
export function registerTools(server: McpServer): void {
  registerContentTools(server);
  registerNotifyingTools(server);

  server.registerTool('test_error_handling', { description: 'Fails, always' }, () => {
    throw new Error('This tool fails on purpose');
  });

  // McpServer writes draft-07 schemas without $defs, so the suite's scenario for this tool fails on any transport.
  const address = z.object({ street: z.string().optional(), city: z.string().optional() });
  server.registerTool(
    'json_schema_2020_12_tool',
    {
      description: 'Has an input schema as near to 2020-12 as McpServer gets',
      inputSchema: z.strictObject({ name: z.string().optional(), address: address.optional() })
    },
    ({ name }) => text(`Hello ${name ?? 'nobody'}`)
  );
}

function registerContentTools(server: McpServer): void {
  for (const [name, content] of Object.entries(toolContents)) {
    server.registerTool(name, { description: `Returns ${content.map(item => item.type).join(', ')}` }, () => ({
      content
    }));
  }
}

function registerNotifyingTools(server: McpServer): void {
  server.registerTool('test_tool_with_logging', { description: 'Logs three times' }, async extra => {
    for (const [index, data] of ['started', 'working', 'done'].entries()) {
      if (index > 0) await delay(pauseMs);
      await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data } });
    }
    return text('Logged');
  });

  server.registerTool('test_tool_with_progress', { description: 'Reports progress three times' }, async extra => {
    const progressToken = extra._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progress > 0) await delay(pauseMs);
      if (progressToken === undefined) continue;
      await extra.sendNotification({
        method: 'notifications/progress',
        params: { progressToken, progress, total: 100 }
      });
    }
    return text('Progressed');
  });

  server.registerTool(
    'test_reconnection',
    { description: 'Closes the stream before it answers, where the client can resume' },
    async extra => {
      await delay(pauseMs);
      extra.closeSSEStream?.();
      await delay(pauseMs);
      return text('Answered after the reconnection');
    }
  );
}

function text(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] };
}
