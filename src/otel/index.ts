import { metrics, type MeterProvider, trace, type TracerProvider } from '@opentelemetry/api';
import type { McpHandler } from '../handler/mcpHandler.js';
import { checkBoolean, checkMethods, checkOptionNames, checkOptionsObject } from '../validate.js';
import { observeMetrics } from './metrics.js';
import { observeTraces } from './traces.js';

/** The options of `enableOpenTelemetry`. */
export interface OpenTelemetryOptions {
  /** Handlers of this process whose `health()` becomes gauges. @default none */
  handlers?: readonly Pick<McpHandler, 'health'>[];
  /** Whether to record metrics. @default true */
  metrics?: boolean;
  /**
   * Whether to record `http.server.request.duration`. Not needed if an instrumentation of HTTP does. Responses are counted
   * without it.
   * @default false
   */
  httpDuration?: boolean;
  /** Whether to record spans. @default true */
  traces?: boolean;
  /** @default the global meter provider */
  meterProvider?: MeterProvider;
  /** @default the global tracer provider */
  tracerProvider?: TracerProvider;
}

const OPTION_NAMES: Readonly<Record<keyof OpenTelemetryOptions, true>> = {
  handlers: true,
  metrics: true,
  httpDuration: true,
  traces: true,
  meterProvider: true,
  tracerProvider: true
};

const SCOPE = 'mcp-sdk-anypod';

/**
 * Records metrics and spans of all handlers and transports of this process, from the channels of this package. Call it
 * once, after the providers were set up.
 * @returns a function that ends it
 * @throws InvalidOptionError
 */
export function enableOpenTelemetry(options: OpenTelemetryOptions = {}): () => void {
  checkOptionsObject('options', options);
  checkOptionNames(options, OPTION_NAMES);
  checkBoolean('metrics', options.metrics);
  checkBoolean('traces', options.traces);
  checkBoolean('httpDuration', options.httpDuration);
  const { handlers = [], meterProvider, tracerProvider } = options;
  for (const handler of handlers) checkMethods('handlers', handler, ['health'], 'handlers of createMcpHandler');
  if (meterProvider !== undefined) checkMethods('meterProvider', meterProvider, ['getMeter']);
  if (tracerProvider !== undefined) checkMethods('tracerProvider', tracerProvider, ['getTracer']);
  const stops: (() => void)[] = [];
  // Spans first: so the metrics of a request are recorded within its span.
  if (options.traces !== false) {
    const tracer = (tracerProvider ?? trace.getTracerProvider()).getTracer(SCOPE);
    stops.push(observeTraces(tracer));
  }
  if (options.metrics !== false) {
    const meter = (meterProvider ?? metrics.getMeterProvider()).getMeter(SCOPE);
    stops.push(observeMetrics(meter, handlers, options.httpDuration === true));
  }
  return () => stops.splice(0).forEach(stop => stop());
}
