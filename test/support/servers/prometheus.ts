import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../until.js';
import { freePort } from './freePort.js';

/** A sample of a query: its labels and its value. */
export interface Sample {
  metric: Record<string, string>;
  value: [number, string];
}

/** A private Prometheus that scrapes its targets five times a second. */
export interface Prometheus {
  /** @throws Error if Prometheus refuses the query */
  query(expression: string): Promise<Sample[]>;
  stop(): Promise<void>;
}

/** @param targets - `host:port` of each pod's metrics */
export async function startPrometheus(targets: readonly string[]): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  const port = await freePort();
  const job = { job_name: 'mcp', static_configs: [{ targets }] };
  const config = { global: { scrape_interval: '200ms', scrape_timeout: '200ms' }, scrape_configs: [job] };
  // JSON is YAML.
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const flags = [
    `--config.file=${folder}/prometheus.yml`,
    `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=127.0.0.1:${port}`
  ];
  const child = spawn('prometheus', flags, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const origin = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until('Prometheus is ready', async () => (await fetch(`${origin}/-/ready`).catch(() => undefined))?.ok);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    stop,
    async query(expression) {
      const response = await fetch(`${origin}/api/v1/query?query=${encodeURIComponent(expression)}`);
      const answer = (await response.json()) as { status: string; error?: string; data: { result: Sample[] } };
      if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`);
      return answer.data.result;
    }
  };
}
