import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a pod serves at /mcp, whichever implementation is behind it. */
export interface Endpoint {
  handle(req: IncomingMessage, res: ServerResponse, body: unknown): Promise<void>;
  close(): Promise<void>;
}
