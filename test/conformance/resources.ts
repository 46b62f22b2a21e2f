import { ResourceTemplate, type McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from 'mcp-sdk-upstream/types.js';
import { texts } from './content.js';
import { redPixelPng } from './media.js';

export function registerResources(server: McpServer): void {
  for (const [name, text] of Object.entries(texts)) {
    const mimeType = 'text/plain';
    server.registerResource(name, `test://${name}`, { description: text, mimeType }, ({ href }) => ({
      contents: [{ uri: href, mimeType, text }]
    }));
  }

  const png = { description: 'One red pixel', mimeType: 'image/png' };
  server.registerResource('static-binary', 'test://static-binary', png, ({ href }) => ({
    contents: [{ uri: href, mimeType: png.mimeType, blob: redPixelPng }]
  }));

  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const json = { description: 'Data made from the id in its address', mimeType: 'application/json' };
  server.registerResource('template', template, json, ({ href }, { id }) => ({
    contents: [{ uri: href, mimeType: json.mimeType, text: JSON.stringify({ id }) }]
  }));

  registerSubscriptions(server);
}

function registerSubscriptions({ server }: McpServer): void {
  const subscribed = new Set<string>();
  server.registerCapabilities({ resources: { subscribe: true } });
  server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
}
