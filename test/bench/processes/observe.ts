import { context, propagation } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  InMemorySpanExporter,
  ParentBasedSampler,
  TraceIdRatioBasedSampler
} from '@opentelemetry/sdk-trace-base';
import type { McpHandler } from 'mcp-sdk-anypod/server';
import { enableOpenTelemetry } from 'mcp-sdk-anypod/otel';

/** Records as an application would: metrics every ten seconds, and 1 % of the traces if spans are wanted. */
export function observe(what: 'metrics' | 'spans', handler: McpHandler): void {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: 10_000,
    exportTimeoutMillis: 5000
  });
  const meterProvider = new MeterProvider({ readers: [reader] });
  if (what === 'metrics') return void enableOpenTelemetry({ handlers: [handler], traces: false, meterProvider });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const tracerProvider = new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.01) }),
    spanProcessors: [new BatchSpanProcessor(new InMemorySpanExporter())]
  });
  enableOpenTelemetry({ handlers: [handler], meterProvider, tracerProvider });
}
