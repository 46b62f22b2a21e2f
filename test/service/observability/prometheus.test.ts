import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader
} from '@opentelemetry/sdk-metrics';
import { InMemoryEventStore, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { enableOpenTelemetry } from 'mcp-sdk-anypod/otel';
import { RawClient } from '../../support/clients/rawClient.js';
import { StreamSession } from '../../support/clients/streamSession.js';
import { LocalPod } from '../../support/pods/localPod.js';
import { freePort } from '../../support/servers/freePort.js';
import { type Prometheus, startPrometheus } from '../../support/servers/prometheus.js';
import { until } from '../../support/until.js';

const run = promisify(execFile);
const FOLDER = 'examples/observability';
const DESCRIBED = '{"http.request.method":"POST","http.response.status_code":200}';

interface Panel {
  title: string;
  targets: { expr: string }[];
}

const { panels } = JSON.parse(readFileSync(`${FOLDER}/dashboard.json`, 'utf8')) as { panels: Panel[] };
const queries = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const));

let pods: LocalPod[] = [];
let provider: MeterProvider;
let disable: () => void;
let prometheus: Prometheus;
let sessionStore: InMemorySessionStore;

beforeAll(async () => {
  const port = await freePort();
  const exporter = new PrometheusExporter({ port, host: '127.0.0.1' });
  provider = new MeterProvider({ readers: [exporter] });
  sessionStore = new InMemorySessionStore();
  const shared = { sessionStore, eventStore: new InMemoryEventStore() };
  pods = [await LocalPod.start(shared), await LocalPod.start(shared)];
  disable = enableOpenTelemetry({ handlers: pods.map(({ handler }) => handler), meterProvider: provider });
  prometheus = await startPrometheus([`127.0.0.1:${port}`]);
  // Rates need a sample from before.
  await traffic();
  await until('it was scraped', async () => (await prometheus.query('mcp_anypod_ready')).length > 0);
  await until('it was scraped again after more traffic', async () => {
    await traffic();
    return (await prometheus.query('rate(mcp_anypod_http_responses_total[30s]) > 0')).length > 0;
  });
});

afterAll(async () => {
  await prometheus?.stop();
  disable?.();
  await Promise.all(pods.map(pod => pod.stop()));
  await provider?.shutdown();
});

/** Something of everything that the dashboard shows. */
async function traffic(): Promise<void> {
  const [first, second] = pods as [LocalPod, LocalPod];
  const client = await new RawClient().open(first.url);
  await client.callTool(second.url, 'echo', { text: 'x' });
  await client.request(second.url, 'no/such');
  jest.spyOn(sessionStore, 'touchSession').mockRejectedValueOnce(new Error('down'));
  await client.request(second.url, 'ping');
  const origin = first.url.replace('/mcp', '');
  const session = await StreamSession.open({ origin });
  (await session.listen({ origin })).drop();
  await client.delete(first.url);
}

test.each(queries)('the dashboard shows something in "%s": %s', async (_title, expression) => {
  const query = expression.replaceAll('$__rate_interval', '30s');
  await until('the query has a result', async () => (await prometheus.query(query)).length > 0);
});

test('metrics have the names of the conventions, and neither session ids nor names that a client made up', async () => {
  const client = await new RawClient().open(pods[0]!.url);
  await client.request(pods[0]!.url, 'made/up');
  await until('the metric is there', async () => {
    const query = 'mcp_server_operation_duration_count{mcp_method_name="_OTHER", error_type="-32601"}';
    return (await prometheus.query(query)).length > 0;
  });
  const calls = await prometheus.query(
    'mcp_server_operation_duration_count{mcp_method_name="tools/call", gen_ai_tool_name="echo"}'
  );
  expect(calls).toHaveLength(1);
  const everything = JSON.stringify(await prometheus.query('{__name__=~".+"}'));
  expect(everything).toContain('mcp_anypod_http_responses_total');
  expect(everything).not.toContain('http_server_request_duration');
  expect(everything).not.toContain('made/up');
  expect(everything).not.toContain(client.sessionId);
});

test('the duration of HTTP requests is recorded if the application asks for it', async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const stop = enableOpenTelemetry({ traces: false, httpDuration: true, meterProvider });
  await new RawClient().open(pods[0]!.url);
  await until('the metric is there', async () => {
    await meterProvider.forceFlush();
    const metrics = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(scope => scope.metrics));
    const found = metrics.find(({ descriptor }) => descriptor.name === 'http.server.request.duration');
    return JSON.stringify(found?.dataPoints[0]?.attributes) === DESCRIBED;
  });
  stop();
  await meterProvider.shutdown();
});

test('the gauges show the sessions that are live', async () => {
  const live = pods.reduce((sum, { handler }) => sum + handler.liveSessions, 0);
  expect(live).toBeGreaterThan(0);
  await until('they are scraped', async () => {
    const [sample] = await prometheus.query('mcp_anypod_sessions_live');
    return Number(sample?.value[1]) === live;
  });
});

test('the alert rules pass their own tests', async () => {
  const { stdout } = await run('promtool', ['test', 'rules', 'alerts.test.yml'], { cwd: FOLDER });
  expect(stdout).toContain('SUCCESS');
});
