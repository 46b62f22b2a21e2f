import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';

/** Serves a web-standard handler with Node's HTTP server, as frameworks' adapters do. */
export function nodeListener(
  handle: (request: Request, authInfo: AuthInfo | undefined) => Promise<Response>
): RequestListener {
  return (req: IncomingMessage & { auth?: AuthInfo }, res) => {
    serve(req, res, request => handle(request, req.auth)).catch(() => res.destroy());
  };
}

async function serve(
  req: IncomingMessage,
  res: ServerResponse,
  handle: (request: Request) => Promise<Response>
): Promise<void> {
  const hasBody = req.method !== 'GET' && req.method !== 'DELETE';
  const init = {
    method: req.method,
    headers: req.headers as Record<string, string>,
    body: hasBody ? (Readable.toWeb(req) as ReadableStream) : undefined,
    duplex: 'half'
  };
  const response = await handle(new Request(`http://${req.headers.host}${req.url}`, init));
  res.writeHead(response.status, Object.fromEntries(response.headers));
  res.flushHeaders();
  if (!response.body) {
    res.end();
    return;
  }
  const body = Readable.fromWeb(response.body as NodeReadableStream);
  res.on('close', () => body.destroy());
  body.on('error', () => res.destroy()).pipe(res);
}
