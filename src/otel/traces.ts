import {
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer
} from '@opentelemetry/api';
import { busCalls, exchanges, logCalls, requests, sessions, storeCalls } from '../events/channels.js';
import type {
  BusMessageEvent,
  CallEvent,
  ExchangeEvent,
  RequestEvent,
  SessionEvent,
  TraceField
} from '../events/payloads.js';
import { Date } from '../timers.js';
import { errorTypeOf, listen } from './metrics.js';

/** The fingerprint of a session. Not `mcp.session.id`: a session id is a secret. */
const SESSION = 'mcp.anypod.session';

/** Records the spans of this process. @returns a function that ends it */
export function observeTraces(tracer: Tracer): () => void {
  const recorder = new SpanRecorder(tracer);
  const stops = [
    listen(exchanges, event => recorder.exchange(event)),
    listen(requests, event => (event.direction === 'in' ? recorder.request(event) : recorder.question(event))),
    listen(sessions, event => noteOnSpan(event)),
    listen(storeCalls, event => recorder.call('store', event)),
    listen(logCalls, event => recorder.call('log', event)),
    listen(busCalls, event => (event.type === 'call' ? recorder.call('bus', event) : recorder.message(event)))
  ];
  return () => stops.forEach(stop => stop());
}

interface Traced {
  trace(field: TraceField): string | undefined;
}

/** Reads the context that a client has sent, in headers or in `params._meta`. */
const getter = {
  keys: () => ['traceparent', 'tracestate', 'baggage'],
  get: (carrier: Traced, key: string) => carrier.trace(key as TraceField)
};

/** The context that came with an event, within another one. Most clients send none, and then nothing is parsed. */
function received(event: Traced, within: Context): Context {
  const isSent = event.trace('traceparent') !== undefined || event.trace('baggage') !== undefined;
  return isSent ? propagation.extract(within, event, getter) : within;
}

class SpanRecorder {
  readonly #tracer: Tracer;
  /** The spans of what has started and has not ended. */
  readonly #spans = new WeakMap<object, Span>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** No span if the application's HTTP instrumentation has made one. */
  exchange(event: ExchangeEvent): void {
    if (event.phase === 'end') return this.#endExchange(event);
    if (trace.getSpan(context.active())) return;
    const parent = received(event, context.active());
    const attributes = { 'http.request.method': event.method };
    const span = this.#tracer.startSpan(event.method, { kind: SpanKind.SERVER, attributes }, parent);
    this.#spans.set(event, span);
    enter(event, trace.setSpan(parent, span));
  }

  #endExchange(event: ExchangeEvent): void {
    const span = this.#spans.get(event);
    if (!span?.isRecording()) return span?.end();
    if (event.session !== undefined) span.setAttribute(SESSION, event.session);
    if (event.status !== undefined) span.setAttribute('http.response.status_code', event.status);
    if (event.status !== undefined && event.status >= 500) fail(span, String(event.status));
    span.end();
  }

  /** A request of the client. The context that came with it is the parent, and the HTTP request is a link. */
  request(event: RequestEvent): void {
    if (event.phase === 'end') return this.#endRequest(event);
    const ambient = context.active();
    const extracted = event.trace('traceparent') === undefined ? ambient : received(event, ambient);
    const http = trace.getSpanContext(ambient);
    const links: Link[] = extracted !== ambient && http ? [{ context: http }] : [];
    const span = this.#start(event, SpanKind.SERVER, extracted, links);
    enter(event, trace.setSpan(extracted, span));
  }

  /** A request of the server. The answer may arrive at another pod, whose trace is a link. */
  question(event: RequestEvent): void {
    if (event.phase === 'end') return this.#endRequest(event);
    this.#start(event, SpanKind.CLIENT, context.active(), []);
  }

  #start(event: RequestEvent, kind: SpanKind, parent: Context, links: Link[]): Span {
    const { method, target } = event;
    const name = target === undefined ? method : `${method} ${target}`;
    const span = this.#tracer.startSpan(name, { kind, links }, parent);
    this.#spans.set(event, span);
    if (span.isRecording()) describe(span, event);
    return span;
  }

  #endRequest(event: RequestEvent): void {
    const span = this.#spans.get(event);
    if (!span?.isRecording()) return span?.end();
    const error = errorTypeOf(event);
    if (error !== undefined) fail(span, error);
    if (event.errorCode !== undefined) span.setAttribute('rpc.response.status_code', String(event.errorCode));
    const answeredFrom = parsed(event.answeredFrom);
    if (answeredFrom) span.addLink({ context: answeredFrom });
    span.end();
  }

  /** A message between pods, if it belongs to a trace. */
  message(event: BusMessageEvent): void {
    if (event.phase === 'end') {
      const span = this.#spans.get(event);
      if (span && event.sent === false) fail(span, 'unavailable');
      return span?.end();
    }
    const attributes = { 'messaging.system': 'mcp-anypod', [SESSION]: event.session };
    if (event.direction === 'out') {
      const parent = trace.getSpanContext(context.active());
      if (!parent || !trace.isSpanContextValid(parent)) return;
      const span = this.#tracer.startSpan(`publish ${event.kind}`, { kind: SpanKind.PRODUCER, attributes });
      this.#spans.set(event, span);
      event.traceparent = written(span.spanContext());
      return;
    }
    const sender = parsed(event.traceparent);
    if (!sender) return;
    const parent = trace.setSpanContext(ROOT_CONTEXT, sender);
    const options = { kind: SpanKind.CONSUMER, attributes, links: [{ context: sender }] };
    const span = this.#tracer.startSpan(`process ${event.kind}`, options, parent);
    this.#spans.set(event, span);
    enter(event, trace.setSpan(parent, span));
  }

  /** A call that has ended, within the span that waited for it. */
  call(port: string, { call, outcome, durationMs, error }: CallEvent): void {
    if (!trace.getSpan(context.active())?.isRecording()) return;
    const endTime = Date.now();
    const span = this.#tracer.startSpan(`${port} ${call}`, { kind: SpanKind.CLIENT, startTime: endTime - durationMs });
    if (outcome !== 'ok') fail(span, error?.code ?? outcome, error?.message);
    span.end(endTime);
  }
}

/** What happens to a session is an event of the span in which it happens. */
function noteOnSpan({ type, ...fields }: SessionEvent): void {
  const span = trace.getSpan(context.active());
  if (span?.isRecording()) span.addEvent(`session ${type}`, fields);
}

function describe(span: Span, { method, target, uri, id, session }: RequestEvent): void {
  span.setAttributes({ 'mcp.method.name': method, 'jsonrpc.request.id': String(id), 'network.transport': 'tcp' });
  if (method === 'tools/call') span.setAttribute('gen_ai.operation.name', 'execute_tool');
  if (target !== undefined) {
    span.setAttribute(method === 'tools/call' ? 'gen_ai.tool.name' : 'gen_ai.prompt.name', target);
  }
  if (uri !== undefined) span.setAttribute('mcp.resource.uri', uri);
  if (session !== undefined) span.setAttribute(SESSION, session);
}

function fail(span: Span, type: string, message?: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
}

function enter(event: ExchangeEvent | RequestEvent | BusMessageEvent, within: Context): void {
  const outer = event.within;
  event.within = work => context.with(within, outer ? () => outer(work) : work);
}

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The context in the form of the header `traceparent` (W3C Trace Context). */
function written({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function parsed(traceparent: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const found = { traceId, spanId, traceFlags: parseInt(flags, 16), isRemote: true };
  return trace.isSpanContextValid(found) ? found : undefined;
}
