import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { ElicitRequestSchema, ResourceUpdatedNotificationSchema } from 'mcp-sdk-upstream/types.js';

/** The options of a client. */
export interface EitherEraOptions {
  /** What the client answers to a question. */
  answer: (message: string) => Record<string, string | boolean>;
  headers?: Record<string, string>;
  fetch?: typeof globalThis.fetch;
}

/** A client of the SDK, of any kind, that answers questions. */
export type EitherEraClient = OldClient | ModernClient;

type Connect = (url: URL, options: EitherEraOptions) => Promise<EitherEraClient>;

/** The clients of all kinds. */
export const clients = {
  'version 1 of the SDK': connectOld,
  'version 2 of the SDK, as it is by default': (url, options) => connectModern(undefined, url, options),
  'version 2 of the SDK that negotiates 2026-07-28': (url, options) => connectModern('auto', url, options)
} satisfies Record<string, Connect>;

export async function connectModern(
  mode: 'auto' | undefined,
  url: URL,
  { answer, headers, fetch }: EitherEraOptions
): Promise<ModernClient> {
  const client = new ModernClient(
    { name: 'modern', version: '1' },
    { capabilities: { elicitation: { form: {} } }, ...(mode && { versionNegotiation: { mode } }) }
  );
  client.setRequestHandler('elicitation/create', ({ params }) => ({
    action: 'accept',
    content: answer(params.message)
  }));
  await client.connect(new ModernTransport(url, { ...(headers && { requestInit: { headers } }), fetch }));
  return client;
}

async function connectOld(url: URL, { answer, fetch }: EitherEraOptions): Promise<OldClient> {
  const client = new OldClient({ name: 'old', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
    action: 'accept',
    content: answer(params.message)
  }));
  await client.connect(new OldTransport(url, { fetch }));
  return client;
}

/** Tells of each resource that the server says has changed. */
export function onResourceUpdated(client: EitherEraClient, heard: (uri: string) => void): void {
  if (client instanceof OldClient) {
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => heard(params.uri));
  } else {
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => heard(params.uri));
  }
}

/** The text that a tool has returned. */
export function textOf(result: unknown): string {
  return (result as { content: { text: string }[] }).content[0]?.text ?? '';
}
