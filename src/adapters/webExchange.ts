import type { AuthInfo, HandleRequestOptions } from '../sdkTypes.js';
import type { BodyRead, EventSink, Exchange, Reply, StreamWriter } from '../engine/http/exchange.js';
import { ObservedExchange } from '../events/observed.js';
import { callsSettled, trackCalls } from '../deadline.js';
import { isBun, isDeno } from '../runtime.js';
import { checkFunction } from '../validate.js';
import { awaitDrain, limitUnread, type Drain } from './backpressure.js';
import { firstWriteDue } from './firstWrite.js';

/** The options for one request. */
export interface FetchOptions extends HandleRequestOptions {
  /**
   * For runtimes that stop a program after its response, such as Workers: called once with a promise that settles after
   * everything that the request has started, even if its client hangs up. An object with this method, such as the
   * `ExecutionContext` of a Worker, can be given as the options.
   * @default the runtime is expected to run on
   */
  waitUntil?: (work: Promise<unknown>) => void;
}

/** A web-standard request as the engine sees it. */
export class WebExchange implements Exchange {
  readonly webRequest: Request;
  readonly authInfo: AuthInfo | undefined;
  parsedBody: unknown;
  observed: ObservedExchange | undefined;
  readonly waitFor: ((work: Promise<unknown>) => void) | undefined;
  #sink: WebEventSink | undefined;

  /** @throws InvalidOptionError if `waitUntil` is not a function */
  constructor(request: Request, options: FetchOptions | undefined) {
    checkFunction('waitUntil', options?.waitUntil);
    if (options?.waitUntil) this.waitFor = waiterOf(work => options.waitUntil?.(work));
    this.webRequest = request;
    this.authInfo = options?.authInfo;
    this.parsedBody = options?.parsedBody;
  }

  get method(): string {
    return this.webRequest.method;
  }

  get gone(): boolean {
    // Deno cancels the stream of a response whose client has left, at once. In some runtimes a request has no signal.
    return isDeno() ? false : (this.webRequest.signal?.aborted ?? false);
  }

  readHeaders(): Record<string, string> {
    return Object.fromEntries(this.webRequest.headers.entries());
  }

  readUrl(): URL {
    return new URL(this.webRequest.url);
  }

  readSignal(): AbortSignal {
    return this.webRequest.signal ?? new AbortController().signal;
  }

  header(name: string): string | null {
    return this.webRequest.headers.get(name);
  }

  readBody(maxBytes: number): Promise<BodyRead> {
    return readRequestBody(this.webRequest, maxBytes);
  }

  openEventStream(): EventSink {
    return (this.#sink = new WebEventSink(this.observed));
  }

  /** Ends the opened stream if it is not the reply. */
  discardUnless(reply: Reply | undefined): void {
    if (this.#sink && reply?.body !== this.#sink) this.#sink.discard();
  }
}

/** Collects work until none is left, then waits for the calls to stores that it has not waited for. */
function waiterOf(waitUntil: (work: Promise<unknown>) => void): (work: Promise<unknown>) => void {
  trackCalls();
  const collected: Promise<unknown>[] = [];
  const allDone = async (): Promise<void> => {
    for (let work = collected.shift(); work; work = collected.shift()) await work.catch(() => {});
    await callsSettled();
  };
  let isFirst = true;
  return work => {
    collected.push(work);
    if (isFirst) waitUntil(allDone());
    isFirst = false;
  };
}

/** Lets the engine answer, and returns its reply as a `Response`. Rejects if `handle` does. */
export async function respond(exchange: WebExchange, handle: () => Promise<Reply>): Promise<Response> {
  const reply = answer(exchange, handle);
  exchange.waitFor?.(reply);
  return reply;
}

async function answer(exchange: WebExchange, handle: () => Promise<Reply>): Promise<Response> {
  let reply: Reply | undefined;
  exchange.observed = ObservedExchange.begin(exchange);
  try {
    reply = await (exchange.observed ? exchange.observed.answer(handle) : handle());
    const { status, headers, body } = reply;
    if (body instanceof WebEventSink) return await body.open(status, headers);
    return new Response(body as string | null, { status, headers });
  } finally {
    exchange.discardUnless(reply);
    // A stream ends later.
    if (typeof reply?.body !== 'object' || reply.body === null) exchange.observed?.end(reply?.status);
  }
}

/** How many unread bytes may wait before writers have to wait. */
const HIGH_WATER_MARK_BYTES = 64 * 1024;
/** A comment, which clients ignore. */
const OPENING = ': open\n\n';
const encoder = new TextEncoder();

/** An event stream as the body of a `Response`. An answer that is complete early becomes a text: see `firstWriteDue`. */
class WebEventSink implements EventSink {
  writer: StreamWriter | undefined;
  readonly #observed: ObservedExchange | undefined;
  /** What was written before {@link open} made a stream. */
  #held = '';
  /** Absent as long as no stream is needed. */
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #ended = false;
  #cutFor: Error | undefined;
  #drain: Drain | undefined;
  #stopWatching: (() => void) | undefined;
  /** Undefined until the reply was given. */
  #status: number | undefined;

  constructor(observed: ObservedExchange | undefined) {
    this.#observed = observed;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The response with the events written so far, as one text if the stream has ended. */
  async open(status: number, headers: Record<string, string>): Promise<Response> {
    await firstWriteDue(this);
    this.#status = status;
    if (this.#ended) this.#observed?.end(status);
    return new Response(this.#isShortAnswer() ? this.#held : this.#stream(), { status, headers });
  }

  /** Whether everything is here, and so little that nobody needs to watch whether the client reads it. */
  #isShortAnswer(): boolean {
    return this.#ended && !this.#cutFor && this.#held.length <= HIGH_WATER_MARK_BYTES;
  }

  #stream(): ReadableStream<Uint8Array> {
    const stream = new ReadableStream<Uint8Array>(
      {
        start: controller => void (this.#controller = controller),
        pull: () => this.#resolveDrain(),
        cancel: () => {
          this.#stopWatching?.();
          this.discard();
        }
      },
      // Next's edge runtime has no ByteLengthQueuingStrategy.
      { highWaterMark: HIGH_WATER_MARK_BYTES, size: chunk => chunk.byteLength }
    );
    if (this.#cutFor) {
      this.#controller?.error(this.#cutFor);
      return stream;
    }
    // Without bytes Bun would not send the head, and the client would wait for it.
    const first = isBun() && !this.#ended ? OPENING + this.#held : this.#held;
    this.#held = '';
    if (first !== '') this.#controller?.enqueue(encoder.encode(first));
    if (this.#ended) this.#close();
    else this.writer?.opened?.();
    return stream;
  }

  get bufferedBytes(): number {
    if (!this.#controller) return this.#held.length;
    return HIGH_WATER_MARK_BYTES - (this.#controller.desiredSize ?? HIGH_WATER_MARK_BYTES);
  }

  write(text: string): void | Promise<void> {
    if (this.#ended) return;
    if (this.#controller) this.#controller.enqueue(encoder.encode(text));
    else this.#held += text;
    // In some runtimes `enqueue` runs the client's cancel callback. After that no data is read.
    if (this.ended || this.bufferedBytes < HIGH_WATER_MARK_BYTES) return;
    this.#drain ??= awaitDrain();
    return this.#drain.promise;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#resolveDrain();
    this.#close();
  }

  #close(): void {
    if (!this.#controller) return;
    this.#controller.close();
    this.#stopWatching = limitUnread(this.bufferedBytes, problem => this.#release(problem));
  }

  disconnect(reason: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cutFor = reason;
    this.#resolveDrain();
    this.#controller?.error(reason);
  }

  /** Drops the unread data, if there is any. */
  #release(problem: Error): void {
    if (this.#controller?.desiredSize === 0) return;
    this.writer?.unread?.(problem);
    this.#controller?.error(problem);
  }

  /** Ends a stream without a reader. */
  discard(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#resolveDrain();
    this.writer?.gone();
  }

  #resolveDrain(): void {
    if (this.#ended && this.#status !== undefined) this.#observed?.end(this.#status);
    this.#drain?.resolve();
    this.#drain = undefined;
  }
}

/**
 * Reads the body's text. If the declared length exceeds the limit, the body is not read. Without a declared length,
 * reading stops when the limit is exceeded. Rejects if the stream does.
 */
export async function readRequestBody(request: Request, maxBytes: number): Promise<BodyRead> {
  const declared = request.headers.get('content-length');
  if (Number(declared) > maxBytes) return { tooLarge: true };
  if (request.bodyUsed) return { tooLarge: false, wasRead: true };
  if (declared === null || !/^\d+$/.test(declared)) return readStream(request.body, maxBytes);
  // In most runtimes this is faster than the stream. An HTTP parser reads no more than the declared length.
  const text = await request.text();
  // A character takes at least one byte. This limits a Request that an application made with a false length.
  return text.length > maxBytes ? { tooLarge: true } : { tooLarge: false, text };
}

async function readStream(body: Request['body'], maxBytes: number): Promise<BodyRead> {
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
