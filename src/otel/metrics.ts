import type { Attributes, Histogram, Meter, ObservableResult } from '@opentelemetry/api';
import {
  busCalls,
  type Channel,
  exchanges,
  logCalls,
  requests,
  sessions,
  storeCalls,
  streams
} from '../events/channels.js';
import type {
  BusEvent,
  CallEvent,
  ExchangeEvent,
  RequestEvent,
  SessionEvent,
  StreamEvent
} from '../events/payloads.js';
import type { PortHealth } from '../events/portCalls.js';
import type { HandlerHealth } from '../handler/health.js';
import { Date } from '../timers.js';
import { KnownNames } from './knownNames.js';
import { Tally } from './tally.js';

/** The boundaries that the semantic conventions give for durations of HTTP, and of MCP operations and sessions. */
const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const MCP_SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];
/** Calls to a backend are faster. */
const CALL_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

interface Healthy {
  health(): HandlerHealth;
}

/** Records the metrics of this process. @returns a function that ends it */
export function observeMetrics(meter: Meter, handlers: readonly Healthy[], httpDuration: boolean): () => void {
  const recorder = new Recorder(meter, httpDuration);
  const stops = [
    listen(exchanges, event => recorder.exchange(event)),
    listen(requests, event => recorder.request(event)),
    listen(sessions, event => recorder.session(event)),
    listen(streams, event => recorder.stream(event)),
    listen(storeCalls, event => recorder.call('store', event)),
    listen(busCalls, event => recorder.bus(event)),
    listen(logCalls, event => recorder.call('log', event)),
    () => recorder.stop()
  ];
  if (handlers.length > 0) stops.push(observeHealth(meter, handlers));
  return () => stops.forEach(stop => stop());
}

/** @returns a function that ends the subscription */
export function listen<T>(channel: Channel<T>, listener: (event: T) => void): () => void {
  channel.subscribe(listener as (event: unknown) => void);
  return () => void channel.unsubscribe(listener as (event: unknown) => void);
}

class Recorder {
  readonly #exchanges: Histogram | undefined;
  readonly #responses: Tally;
  readonly #operations: Histogram;
  readonly #sessionAges: Histogram;
  readonly #recoveries: Histogram;
  readonly #calls: Histogram;
  readonly #sessionEvents: Tally;
  readonly #streamEvents: Tally;
  readonly #replayed: Tally;
  readonly #messages: Tally;
  readonly #methods = new KnownNames();
  readonly #targets = new KnownNames();

  constructor(meter: Meter, httpDuration: boolean) {
    const seconds = (name: string, explicitBucketBoundaries: number[], description: string): Histogram =>
      meter.createHistogram(name, { unit: 's', description, advice: { explicitBucketBoundaries } });
    // For each value, the SDK writes the attributes as JSON: a histogram costs a request more than a count does.
    this.#exchanges = httpDuration
      ? seconds('http.server.request.duration', HTTP_SECONDS, 'Duration of HTTP requests to MCP')
      : undefined;
    this.#operations = seconds(
      'mcp.server.operation.duration',
      MCP_SECONDS,
      'Duration of JSON-RPC requests of clients'
    );
    this.#sessionAges = seconds('mcp.server.session.duration', MCP_SECONDS, 'Age of sessions at their end');
    this.#recoveries = seconds('mcp.anypod.recovery.duration', CALL_SECONDS, 'Duration of recoveries of sessions');
    this.#calls = seconds('mcp.anypod.call.duration', CALL_SECONDS, 'Duration of calls to store, bus and event log');
    const tally = (name: string, description: string, ...attributes: [string, string?]): Tally =>
      new Tally(meter, name, description, ...attributes);
    this.#responses = tally(
      'mcp.anypod.http.responses',
      'Responses to HTTP requests to MCP',
      'http.request.method',
      'http.response.status_code'
    );
    this.#sessionEvents = tally('mcp.anypod.session.events', 'Events of sessions', 'event', 'reason');
    this.#streamEvents = tally('mcp.anypod.stream.events', 'Events of streams', 'event');
    // A rate needs a sample from before the first one.
    this.#streamEvents.add(0, 'owner-gone');
    this.#replayed = tally('mcp.anypod.stream.replayed', 'Events replayed to clients', '');
    this.#messages = tally('mcp.anypod.bus.messages', 'Messages between pods', 'direction', 'kind');
  }

  stop(): void {
    const tallies = [this.#responses, this.#sessionEvents, this.#streamEvents, this.#replayed, this.#messages];
    for (const tally of tallies) tally.stop();
  }

  exchange({ phase, method, status, durationMs }: ExchangeEvent): void {
    if (phase === 'start') return;
    const name = KNOWN_HTTP.has(method) ? method : '_OTHER';
    this.#responses.add(1, name, status);
    if (!this.#exchanges) return;
    const attributes: Attributes = { 'http.request.method': name };
    if (status !== undefined) attributes['http.response.status_code'] = status;
    this.#exchanges.record(durationMs / 1000, attributes);
  }

  request(event: RequestEvent): void {
    if (event.phase === 'start' || event.direction === 'out') return;
    const { method, target, outcome, durationMs } = event;
    const attributes: Attributes = { 'mcp.method.name': this.#methods.nameOf(method, outcome === 'result') };
    if (target !== undefined) {
      const name = method === 'tools/call' ? 'gen_ai.tool.name' : 'gen_ai.prompt.name';
      attributes[name] = this.#targets.nameOf(target, outcome === 'result');
    }
    const error = errorTypeOf(event);
    if (error !== undefined) attributes['error.type'] = error;
    this.#operations.record(durationMs / 1000, attributes);
  }

  session(event: SessionEvent): void {
    this.#sessionEvents.add(1, event.type, reasonOf(event));
    if (event.type === 'recovered') this.#recoveries.record(event.durationMs / 1000, { cause: event.cause });
    // Each session once: other pods say it as well.
    const isEnd = event.type === 'expired' || (event.type === 'ended' && event.by !== 'other-pod');
    if (isEnd && event.ageMs !== undefined) this.#sessionAges.record(event.ageMs / 1000);
  }

  stream(event: StreamEvent): void {
    this.#streamEvents.add(1, event.type);
    if (event.type === 'resumed' && event.replayed > 0) this.#replayed.add(event.replayed);
  }

  call(port: string, { call, outcome, durationMs }: CallEvent): void {
    const attributes: Attributes = { port, call };
    if (outcome !== 'ok') attributes['error.type'] = outcome;
    this.#calls.record(durationMs / 1000, attributes);
  }

  bus(event: BusEvent): void {
    if (event.type === 'call') return this.call('bus', event);
    const { phase, direction, kind } = event;
    if (phase === 'end') this.#messages.add(1, direction, kind);
  }
}

const KNOWN_HTTP = new Set(['GET', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PUT', 'PATCH']);

/** The attribute `error.type` of a request; undefined if it has succeeded. */
export function errorTypeOf({ outcome, errorCode }: RequestEvent): string | undefined {
  if (outcome === 'result') return undefined;
  if (outcome === 'tool-error') return 'tool_error';
  return outcome === 'error' ? String(errorCode ?? '_OTHER') : outcome;
}

function reasonOf(event: SessionEvent): string {
  switch (event.type) {
    case 'recovered':
    case 'forgotten':
      return event.cause;
    case 'ended':
      return event.by;
    case 'refused':
      return event.reason;
    default:
      return '';
  }
}

const PORTS = ['store', 'bus', 'log'] as const;

/** Gauges of what `health()` says, read when the metrics are collected. */
function observeHealth(meter: Meter, handlers: readonly Healthy[]): () => void {
  const gauge = (name: string, description: string, unit = '') =>
    meter.createObservableGauge(name, { description, unit });
  const live = gauge('mcp.anypod.sessions.live', 'Sessions that are live on this pod');
  const inFlight = gauge('mcp.anypod.requests.in_flight', 'Requests without an answer');
  const ready = gauge('mcp.anypod.ready', '1 if this pod is ready');
  const reachable = gauge('mcp.anypod.port.reachable', '1 if the last call was answered');
  const silence = gauge('mcp.anypod.port.silence', 'Time since the last answer', 's');
  const each = (read: (health: HandlerHealth) => number) => (result: ObservableResult) =>
    result.observe(handlers.reduce((sum, handler) => sum + read(handler.health()), 0));
  const ports = (read: (port: PortHealth) => number | undefined) => (result: ObservableResult) => {
    for (const port of PORTS) {
      const values = handlers.flatMap(handler => handler.health()[port] ?? []).flatMap(health => read(health) ?? []);
      // The worst of all handlers.
      if (values.length > 0) result.observe(read === answerAge ? Math.max(...values) : Math.min(...values), { port });
    }
  };
  const callbacks = [
    [live, each(({ liveSessions }) => liveSessions)],
    [inFlight, each(health => health.inFlight)],
    [ready, (result: ObservableResult) => result.observe(handlers.every(handler => handler.health().ready) ? 1 : 0)],
    [reachable, ports(port => (port.reachable === undefined ? undefined : Number(port.reachable)))],
    [silence, ports(answerAge)]
  ] as const;
  for (const [instrument, callback] of callbacks) instrument.addCallback(callback);
  return () => callbacks.forEach(([instrument, callback]) => instrument.removeCallback(callback));
}

function answerAge({ lastAnswerAt }: PortHealth): number | undefined {
  return lastAnswerAt === undefined ? undefined : Math.max(0, Date.now() - lastAnswerAt) / 1000;
}
