import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { freePort } from '../support/servers/freePort.js';

/** A load balancer as a distribution ships it, private to one test file, that hands requests to pods in turn. */
export interface Balancer {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** What it wrote to stdout and stderr. */
  output(): string;
  stop(): Promise<void>;
}

/** @param settings - more lines for `defaults` */
export function startHaproxy(ports: readonly number[], settings = ['option http-no-delay']): Promise<Balancer> {
  return start('haproxy.cfg', ['haproxy', '-db', '-f'], (_, port) => [
    'defaults',
    '  mode http',
    '  timeout connect 2s',
    '  timeout client 60s',
    '  timeout server 60s',
    ...settings.map(line => `  ${line}`),
    'listen mcp',
    `  bind 127.0.0.1:${port}`,
    '  balance roundrobin',
    '  option redispatch',
    ...ports.map((pod, i) => `  server pod${i} 127.0.0.1:${pod} check inter 500ms`)
  ]);
}

/** @param settings - more lines for `location /mcp` */
export function startNginx(ports: readonly number[], settings: readonly string[] = []): Promise<Balancer> {
  return start('nginx.conf', ['nginx', '-c'], (folder, port) => [
    'daemon off;',
    'worker_processes 1;',
    `pid ${folder}/pid;`,
    'error_log stderr;',
    'events {}',
    'http {',
    '  access_log off;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `  ${name}_temp_path ${folder}/${name};`),
    '  upstream pods {',
    ...ports.map(pod => `    server 127.0.0.1:${pod} max_fails=1 fail_timeout=1s;`),
    '  }',
    '  server {',
    `    listen 127.0.0.1:${port};`,
    '    location /mcp {',
    '      proxy_pass http://pods;',
    ...settings.map(line => `      ${line}`),
    '    }',
    '  }',
    '}'
  ]);
}

/** Starts `command <config>` in the foreground, in a folder of its own; resolves when it takes connections. */
async function start(
  name: string,
  [program, ...args]: [string, ...string[]],
  configure: (folder: string, port: number) => string[]
): Promise<Balancer> {
  const folder = await mkdtemp(join(tmpdir(), 'balancer-'));
  const port = await freePort();
  const config = join(folder, name);
  await writeFile(config, configure(folder, port).join('\n') + '\n');
  const child = spawn(program, [...args, config], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (output = (output + chunk).slice(-16_384)));
  }
  const exited = once(child, 'exit').catch((error: Error) => (output += error.message));
  let running = true;
  void exited.then(() => (running = false));
  const stop = async () => {
    if (running) child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until(`${program} takes connections`, () => {
      if (!running) throw new Error(`${program} ended before it took connections`);
      return takesConnections(port);
    });
  } catch (error) {
    await stop();
    throw new Error(output, { cause: error });
  }
  return { origin: `http://127.0.0.1:${port}`, output: () => output, stop };
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
