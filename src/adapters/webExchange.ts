import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { HandleRequestOptions } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { RequestInfo } from 'mcp-sdk-upstream/types.js';
import type { BodyRead, EventSink, Exchange, Reply, StreamWriter } from '../engine/http/exchange.js';
import { LazyRequestInfo, type RequestSource } from '../engine/http/requestInfo.js';
import { awaitedRoom, limitUnread, type Room } from './backpressure.js';

/** A web-standard request as the engine sees it. */
export class WebExchange implements Exchange, RequestSource {
  readonly #request: Request;
  readonly authInfo: AuthInfo | undefined;
  readonly parsedBody: unknown;
  #sink: WebEventSink | undefined;

  constructor(request: Request, options: HandleRequestOptions | undefined) {
    this.#request = request;
    this.authInfo = options?.authInfo;
    this.parsedBody = options?.parsedBody;
  }

  get method(): string {
    return this.#request.method;
  }

  get requestInfo(): LazyRequestInfo {
    return new LazyRequestInfo(this);
  }

  get gone(): boolean {
    // In some runtimes a request has no signal.
    return (this.#request.signal as AbortSignal | null)?.aborted ?? false;
  }

  readHeaders(): RequestInfo['headers'] {
    return Object.fromEntries(this.#request.headers.entries());
  }

  readUrl(): URL {
    return new URL(this.#request.url);
  }

  header(name: string): string | null {
    return this.#request.headers.get(name);
  }

  readBody(maxBytes: number): Promise<BodyRead> {
    return readRequestBody(this.#request, maxBytes);
  }

  openEventStream(): EventSink {
    return (this.#sink = new WebEventSink());
  }

  /** Ends the opened stream if it is not the reply. */
  discardUnless(reply: Reply | undefined): void {
    if (this.#sink && reply?.body !== this.#sink) this.#sink.discard();
  }
}

/** Lets the engine answer, and returns its reply as a `Response`. Rejects if `handle` does. */
export async function respond(exchange: WebExchange, handle: () => Promise<Reply>): Promise<Response> {
  let reply: Reply | undefined;
  try {
    return toResponse((reply = await handle()));
  } finally {
    exchange.discardUnless(reply);
  }
}

function toResponse({ status, headers, body }: Reply): Response {
  if (!(body instanceof WebEventSink)) return new Response(body as string | null, { status, headers });
  return new Response(body.open(), { status, headers });
}

/** How many unread bytes may wait before writers have to wait. */
const HIGH_WATER_MARK_BYTES = 64 * 1024;
const encoder = new TextEncoder();

class WebEventSink implements EventSink {
  writer: StreamWriter | undefined;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #ended = false;
  #room: Room | undefined;
  #callOff: (() => void) | undefined;
  readonly #stream = new ReadableStream<Uint8Array>(
    {
      start: controller => {
        this.#controller = controller;
      },
      pull: () => this.#makeRoom(),
      cancel: () => {
        this.#callOff?.();
        this.discard();
      }
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_MARK_BYTES })
  );

  open(): ReadableStream<Uint8Array> {
    if (!this.#ended) this.writer?.opened?.();
    return this.#stream;
  }

  get bufferedBytes(): number {
    return HIGH_WATER_MARK_BYTES - (this.#controller.desiredSize ?? HIGH_WATER_MARK_BYTES);
  }

  write(text: string): void | Promise<void> {
    if (this.#ended) return;
    this.#controller.enqueue(encoder.encode(text));
    // In some runtimes `enqueue` runs the client's cancel callback. After that no data is read.
    if (this.#isEnded() || (this.#controller.desiredSize ?? 1) > 0) return;
    this.#room ??= awaitedRoom();
    return this.#room.promise;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#makeRoom();
    this.#controller.close();
    this.#callOff = limitUnread(this.bufferedBytes, problem => this.#release(problem));
  }

  cut(reason: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#makeRoom();
    this.#controller.error(reason);
  }

  /** Drops the unread data, if there is any. */
  #release(problem: Error): void {
    if (this.#controller.desiredSize === 0) return;
    this.writer?.unread?.(problem);
    this.#controller.error(problem);
  }

  /** Ends a stream without a reader. */
  discard(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#makeRoom();
    this.writer?.gone();
  }

  #isEnded(): boolean {
    return this.#ended;
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

/**
 * Reads the body's text. If the declared length exceeds the limit, the body is not read. Reading stops when the limit
 * is exceeded. Rejects if the stream does.
 */
export async function readRequestBody({ headers, body }: Request, maxBytes: number): Promise<BodyRead> {
  if (Number(headers.get('content-length')) > maxBytes) return { tooLarge: true };
  if (!body) return { tooLarge: false, text: '' };

  const decoder = new TextDecoder();
  const texts: string[] = [];
  const reader = body.getReader();
  try {
    let left = maxBytes;
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      left -= chunk.value.byteLength;
      if (left < 0) return { tooLarge: true };
      texts.push(decoder.decode(chunk.value, { stream: true }));
    }
  } finally {
    // The caller decides about the rest of the body.
    reader.releaseLock();
  }
  texts.push(decoder.decode());
  return { tooLarge: false, text: texts.join('') };
}
