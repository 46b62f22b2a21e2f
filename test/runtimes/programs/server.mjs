/**
 * The MCP server that every runtime serves: its tools show on which pod they run, and what becomes of them.
 * `journal` keeps what happened to the tool `wait`.
 */
/* global setTimeout */
import { McpServer } from 'mcp-sdk-anypod/server';

export const journal = [];

export function serverFactory(name) {
  return ({ jsonSchemaValidator }) => {
    const server = new McpServer(
      { name: 'runtimes', version: '1.0.0' },
      { capabilities: { logging: {} }, jsonSchemaValidator }
    );
    const tool = (toolName, run) => server.registerTool(toolName, {}, async extra => answer(await run(extra)));
    tool('where', () => name);
    tool('ask', async () => {
      const requestedSchema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
      const { action, content } = await server.server.elicitInput({ message: 'Who?', requestedSchema });
      return `${action} ${content?.name} on ${name}`;
    });
    tool('notify', async () => {
      await server.server.sendLoggingMessage({ level: 'info', data: `from ${name}` });
      return name;
    });
    tool('wait', async () => {
      journal.push('began');
      await new Promise(resolve => setTimeout(resolve, 1000));
      journal.push('ended');
      return name;
    });
    tool('never', () => {
      journal.push('began');
      return new Promise(() => {});
    });
    return server;
  };
}

function answer(text) {
  return { content: [{ type: 'text', text }] };
}
