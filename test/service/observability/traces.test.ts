import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor
} from '@opentelemetry/sdk-trace-base';
import { InMemoryEventStore, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { enableOpenTelemetry } from 'mcp-sdk-anypod/otel';
import { fingerprint } from '../../../src/ports/sessionId.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { StreamSession } from '../../support/clients/streamSession.js';
import { LocalPod } from '../../support/pods/localPod.js';
import { until } from '../../support/until.js';

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CLIENT_SPAN = '00f067aa0ba902b7';
const _meta = { traceparent: `00-${TRACE}-${CLIENT_SPAN}-01` };

let first: LocalPod;
let second: LocalPod;
let disable: () => void;

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const shared = { sessionStore: new InMemorySessionStore(), eventStore: new InMemoryEventStore() };
  first = await LocalPod.start(shared);
  second = await LocalPod.start(shared);
  disable = enableOpenTelemetry({ tracerProvider: provider, metrics: false });
});

afterAll(async () => {
  disable?.();
  await Promise.all([first.stop(), second.stop()]);
  trace.disable();
  context.disable();
  propagation.disable();
});

beforeEach(() => exporter.reset());

const named = (name: string): Promise<ReadableSpan> =>
  until(`the span ${name} has ended`, () => exporter.getFinishedSpans().find(span => span.name === name));

test('a tool call continues the trace of its client, and links the HTTP request', async () => {
  const client = await new RawClient().open(first.url);
  exporter.reset();
  await client.request(second.url, 'tools/call', { name: 'echo', arguments: { text: 'x' }, _meta });
  const call = await named('tools/call echo');
  const http = await named('POST');
  expect(call.kind).toBe(SpanKind.SERVER);
  expect([call.spanContext().traceId, call.parentSpanContext?.spanId]).toEqual([TRACE, CLIENT_SPAN]);
  expect(call.links.map(link => link.context.spanId)).toEqual([http.spanContext().spanId]);
  expect(call.attributes).toMatchObject({
    'mcp.method.name': 'tools/call',
    'gen_ai.tool.name': 'echo',
    'gen_ai.operation.name': 'execute_tool',
    'mcp.anypod.session': fingerprint(client.sessionId as string)
  });
  expect(http.attributes).toMatchObject({ 'http.request.method': 'POST', 'http.response.status_code': 200 });
  // The recovery, and the calls to the store, are part of the HTTP request.
  expect(http.events.map(({ name }) => name)).toContain('session recovered');
  const store = await named('store touchSession');
  expect(store.parentSpanContext?.spanId).toBe(http.spanContext().spanId);
  expect(JSON.stringify(exporter.getFinishedSpans().map(span => span.attributes))).not.toContain(client.sessionId);
});

test('a request without a trace is a child of its HTTP request, which continues the trace of the header', async () => {
  const client = await new RawClient({ traceparent: _meta.traceparent }).open(first.url);
  exporter.reset();
  await client.request(first.url, 'no/such');
  const [http, request] = [await named('POST'), await named('no/such')];
  expect([http.spanContext().traceId, http.parentSpanContext?.spanId]).toEqual([TRACE, CLIENT_SPAN]);
  expect(request.parentSpanContext?.spanId).toBe(http.spanContext().spanId);
  expect(request.attributes).toMatchObject({ 'error.type': '-32601', 'rpc.response.status_code': '-32601' });
});

test('an answer that arrives at another pod is linked: the question of the tool names the trace of that pod', async () => {
  const client = await new RawClient().open(first.url, { capabilities: { elicitation: {} } });
  exporter.reset();
  const { stream } = await client.followTool(first.url, 'ask', { kind: 'form', text: 'why' });
  await stream.until(() => stream.messages.length > 0);
  const { id } = stream.messages[0]!;
  const answer = { jsonrpc: '2.0', id, result: { action: 'accept', content: { answer: 'so' } } };
  expect((await client.post(second.url, answer)).status).toBe(202);
  await stream.untilEnded();

  const [call, question] = [await named('tools/call ask'), await named('elicitation/create')];
  const [publish, process] = [await named('publish response'), await named('process response')];
  expect([question.kind, publish.kind, process.kind]).toEqual([SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER]);
  expect(question.parentSpanContext?.spanId).toBe(call.spanContext().spanId);
  expect(question.links.map(link => link.context.spanId)).toEqual([publish.spanContext().spanId]);
  expect(process.links.map(link => link.context.spanId)).toEqual([publish.spanContext().spanId]);
  expect(process.spanContext().traceId).toBe(publish.spanContext().traceId);
  expect(publish.spanContext().traceId).not.toBe(call.spanContext().traceId);
});

test('an event that another pod delivers belongs to the trace of the tool call', async () => {
  const [a, b] = [first, second].map(({ url }) => ({ origin: url.replace('/mcp', '') }));
  const session = await StreamSession.open(a!);
  exporter.reset();
  const call = await session.call(a!, 'slow', { ms: 400 });
  await call.until(() => call.lastEventId !== undefined);
  call.drop();
  const resumed = await session.listen(b!, call.lastEventId);
  await resumed.untilEnded();
  expect(resumed.messages.at(-1)).toMatchObject({ result: { content: [{ text: 'done' }] } });
  const tool = await named('tools/call slow');
  const [publish, process] = [await named('publish stream-event'), await named('process stream-event')];
  expect(publish.spanContext().traceId).toBe(tool.spanContext().traceId);
  expect(process.links.map(link => link.context.spanId)).toEqual([publish.spanContext().spanId]);
});

test('work of the application during an exchange runs within the span of the exchange', async () => {
  const seen: (string | undefined)[] = [];
  const onsessionclosed = () => void seen.push(trace.getSpanContext(context.active())?.traceId);
  const pod = await LocalPod.start({ sessionStore: new InMemorySessionStore(), onsessionclosed });
  const client = await new RawClient().open(pod.url);
  await client.delete(pod.url);
  expect(seen).toEqual([(await named('DELETE')).spanContext().traceId]);
  await pod.stop();
});
