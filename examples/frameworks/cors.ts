/**
 * For clients in a browser: the headers that let pages of one other origin use the server. The other examples in this
 * folder send them. A client must be able to send the headers of the protocol, and to read `Mcp-Session-Id`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

export const corsHeaders = {
  'access-control-allow-origin': process.env.ORIGIN ?? 'https://app.example.com',
  'access-control-allow-methods': 'GET, POST, DELETE',
  'access-control-allow-headers': 'Content-Type, Authorization, Mcp-Session-Id, Mcp-Protocol-Version, Last-Event-ID',
  'access-control-expose-headers': 'Mcp-Session-Id, Retry-After, WWW-Authenticate',
  'access-control-max-age': '7200'
};

/**
 * Sets the headers, and answers a preflight. Use it before authentication: a browser sends the preflight without
 * credentials.
 * @returns whether the request is answered
 */
export function allowOrigin(req: IncomingMessage, res: ServerResponse): boolean {
  for (const [name, value] of Object.entries(corsHeaders)) res.setHeader(name, value);
  if (req.method !== 'OPTIONS') return false;
  res.writeHead(204).end();
  return true;
}
