import {
  createMcpHandler as createSdkHandler,
  type CreateMcpHandlerOptions,
  type McpHttpHandler,
  type McpServerFactory,
  type ServerEventBus
} from '@modelcontextprotocol/server';
import { pause } from '../deadline.js';
import type { EventSink, Exchange, Reply } from '../engine/http/exchange.js';
import { serviceUnavailable } from '../engine/http/replies.js';
import { PodUnavailableError } from '../errors.js';
import type { ReportError } from '../report.js';
import { performance } from '../timers.js';
import { requestOf } from './lazyRequest.js';
import { isListen, type SubscriptionAuthorization } from './subscriptionAuthorization.js';

const DRAIN_POLL_MS = 20;

/** The options of the SDK's handler that the lane passes on. */
export type ModernOptions = Pick<
  CreateMcpHandlerOptions,
  'responseMode' | 'maxSubscriptions' | 'keepAliveMs' | 'maxRequestBodySize'
>;

/**
 * Serves requests of protocol 2026-07-28 with the SDK's own handler. Two of them share the bus, because the SDK closes
 * all at once: when the pod leaves, streams of `subscriptions/listen` end first, and calls may finish.
 */
export class ModernLane {
  readonly #calls: McpHttpHandler;
  readonly #listens: McpHttpHandler;
  readonly #authorization: SubscriptionAuthorization | undefined;
  readonly #report: ReportError;
  readonly #listensEverywhere: () => Promise<unknown>;
  #open = 0;
  #draining = false;

  constructor(
    factory: McpServerFactory,
    { responseMode, ...options }: ModernOptions,
    bus: ServerEventBus,
    authorization: SubscriptionAuthorization | undefined,
    listensEverywhere: () => Promise<unknown>,
    report: ReportError
  ) {
    const shared: CreateMcpHandlerOptions = { ...options, legacy: 'reject', bus, onerror: report };
    this.#calls = createSdkHandler(factory, responseMode === undefined ? shared : { ...shared, responseMode });
    this.#listens = createSdkHandler(factory, shared);
    this.#authorization = authorization;
    this.#listensEverywhere = listensEverywhere;
    this.#report = report;
  }

  /** @param body - the parsed body; undefined if it has not been read, because its type is wrong */
  async serve(exchange: Exchange, body: unknown): Promise<Response | Reply> {
    if (this.#draining) {
      this.#report(new PodUnavailableError('The pod is shutting down'));
      return serviceUnavailable('The pod is shutting down', 'draining');
    }
    const { authInfo } = exchange;
    const options = { ...(authInfo && { authInfo }), ...(body !== undefined && { parsedBody: body }) };
    if (isListen(body)) {
      // The client's acknowledgement must not come before events of other pods can arrive.
      await this.#listensEverywhere();
      const parsedBody = this.#authorization ? await this.#authorization.allowedPart(body, exchange) : body;
      return this.#listens.fetch(requestOf(exchange), { ...options, parsedBody });
    }
    const done = this.#begin();
    try {
      const response = await this.#calls.fetch(requestOf(exchange), options);
      if (isEventStream(response)) return new Response(untilEnd(response.body, done), response);
      done();
      return response;
    } catch (error) {
      done();
      throw error;
    }
  }

  /** Serves new requests for `delayMs`, ends all subscriptions, and lets calls finish for at most `drainMs`. */
  async close(delayMs: number, drainMs: number): Promise<void> {
    if (delayMs > 0) await pause(delayMs);
    this.#draining = true;
    const deadline = performance.now() + drainMs;
    await this.#listens.close();
    while (this.#open > 0 && performance.now() < deadline) await pause(DRAIN_POLL_MS);
    await this.#calls.close();
  }

  #begin(): () => void {
    this.#open++;
    let isOpen = true;
    return () => {
      if (isOpen) this.#open--;
      isOpen = false;
    };
  }
}

type StreamResponse = Response & { readonly body: ReadableStream<Uint8Array> };

function isEventStream(response: Response): response is StreamResponse {
  return response.body !== null && response.headers.get('content-type')?.startsWith('text/event-stream') === true;
}

/** The same stream. Calls `done` after either side has ended it. */
function untilEnd(body: ReadableStream<Uint8Array>, done: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const read = await reader.read();
        if (!read.done) return controller.enqueue(read.value);
        done();
        controller.close();
      } catch (error) {
        done();
        controller.error(error);
      }
    },
    async cancel(reason) {
      done();
      await reader.cancel(reason);
    }
  });
}

/** The reply for an adapter that does not write a `Response`. */
export async function replyOf(response: Response, exchange: Exchange, report: ReportError): Promise<Reply> {
  const { status } = response;
  const headers = Object.fromEntries(response.headers.entries());
  if (!isEventStream(response)) return { status, headers, body: response.body ? await response.text() : null };
  const sink = exchange.openEventStream();
  void pump(response.body, sink).catch(report);
  return { status, headers, body: sink };
}

async function pump(body: ReadableStream<Uint8Array>, sink: EventSink): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let isGone = false;
  sink.writer = {
    gone: () => {
      isGone = true;
      reader.cancel().catch(() => {});
    }
  };
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      await sink.write(decoder.decode(read.value, { stream: true }));
    }
    sink.end();
  } catch (error) {
    if (!isGone) sink.disconnect(error as Error);
  }
}
