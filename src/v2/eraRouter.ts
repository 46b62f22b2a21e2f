import { classifyInboundRequest, isJsonContentType } from '@modelcontextprotocol/server';
import type { Exchange, Reply } from '../engine/http/exchange.js';
import { refuseRebinding } from '../engine/http/parseRequest.js';
import type { AssembledHandler } from '../handler/mcpHandler.js';
import { type ModernLane, replyOf } from './modernLane.js';

/** Decides, as the SDK does, which era a request belongs to. Its body is read and parsed once. */
export class EraRouter {
  readonly #sessions: AssembledHandler;
  readonly #modern: ModernLane | undefined;

  /** @param modern - undefined if all requests are for the sessions, as on a pod of version 1 of the SDK */
  constructor(sessions: AssembledHandler, modern: ModernLane | undefined) {
    this.#sessions = sessions;
    this.#modern = modern;
  }

  async serve(exchange: Exchange): Promise<Reply> {
    const { handler, host, report } = this.#sessions;
    if (!this.#modern) return host.handle(exchange);
    const refusal = refuseRebinding(exchange, host.options, report);
    if (refusal) return refusal;
    const isPost = exchange.method === 'POST';
    const isJson = !isPost || isJsonContentType(exchange.header('content-type'));
    // The SDK's handler refuses another type before it reads the body.
    const body = isPost && isJson ? await this.#bodyOf(exchange) : undefined;
    if (isJson && isOfSessions(exchange, body)) return host.handle(exchange);
    const answer = await this.#modern.serve(exchange, body);
    const reply = answer instanceof Response ? await replyOf(answer, exchange, report) : answer;
    return handler.ready ? reply : { ...reply, headers: { ...reply.headers, connection: 'close' } };
  }

  /** @returns undefined if it is too large or is not JSON: then the session lane refuses it */
  async #bodyOf(exchange: Exchange): Promise<unknown> {
    if (exchange.parsedBody !== undefined) return exchange.parsedBody;
    const reading = exchange.readBody(this.#sessions.host.options.maxRequestBodySize);
    try {
      const read = await reading;
      if (!read.tooLarge && !read.wasRead) return (exchange.parsedBody = JSON.parse(read.text) as unknown);
    } catch {
      // The session lane meets the same failure and answers it.
    }
    exchange.readBody = () => reading;
    return undefined;
  }
}

/** Whether the request is one of a 2025 client. Requests that belong to neither era are answered by the SDK. */
function isOfSessions(exchange: Exchange, body: unknown): boolean {
  if (exchange.method === 'POST' && body === undefined) return true;
  const outcome = classifyInboundRequest({
    httpMethod: exchange.method.toUpperCase(),
    protocolVersionHeader: exchange.header('mcp-protocol-version') ?? undefined,
    mcpMethodHeader: exchange.header('mcp-method') ?? undefined,
    mcpNameHeader: exchange.header('mcp-name') ?? undefined,
    ...(body !== undefined && { body })
  });
  return outcome.kind === 'legacy';
}
