import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, cpus, loadavg, platform, totalmem } from 'node:os';

const require = createRequire(import.meta.url);

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  platform: string;
  /** Before the run: what others were doing. */
  loadAverage: number;
  node: string;
  redis: string;
  sdk: string;
  anypod: string;
  ioredis: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? arch(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${platform()} ${arch()}`,
    loadAverage: Number(loadavg()[0]?.toFixed(2)),
    node: process.version,
    redis: /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown',
    sdk: versionOf('mcp-sdk-upstream'),
    anypod: versionIn(new URL('../../package.json', import.meta.url)),
    ioredis: versionOf('ioredis')
  };
}

export function machineLine(machine: Machine): string {
  const { cores, cpu, memoryGiB, node, redis, sdk, anypod, ioredis, loadAverage } = machine;
  const versions = `Node ${node}, Redis ${redis}, ioredis ${ioredis}, SDK ${sdk}, mcp-sdk-anypod ${anypod}`;
  return `${cores} x ${cpu}, ${memoryGiB} GiB; ${versions}; load average before the run ${loadAverage}`;
}

function versionOf(name: string): string {
  const paths = require.resolve.paths(name) ?? [];
  for (const path of paths) {
    try {
      return versionIn(`${path}/${name}/package.json`);
    } catch {
      // Looked for in the next folder up.
    }
  }
  return 'unknown';
}

function versionIn(manifest: string | URL): string {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
