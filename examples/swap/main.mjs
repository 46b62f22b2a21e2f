/**
 * Swaps the SDK under published applications and shows what a client sees, on one pod and behind two, before and after.
 *
 *   npm run build && node examples/swap/main.mjs                      # the package of this repository
 *   node examples/swap/main.mjs npm:mcp-sdk-anypod@1.32.200           # or a published one
 *
 * REDIS_URL, or a `redis-server` on the machine, is needed for the last row. Takes a few minutes.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { applications, fewLines } from './applications.mjs';

const run = promisify(execFile);
const SDK = '@modelcontextprotocol/sdk';
const CALLS = 8;
const scratch = await mkdtemp(join(tmpdir(), 'anypod-swap-'));
const children = [];

try {
  const fork = process.argv[2] ?? (await pack());
  for (const application of applications) {
    await show(application, 'the SDK 1.32.2', '1.32.2');
    await show(application, 'the fork', fork);
  }
  await show(fewLines, 'the fork', fork, { REDIS_URL: process.env.REDIS_URL ?? (await startRedis()) });
} finally {
  for (const child of children) child.kill('SIGKILL');
  await rm(scratch, { recursive: true, force: true });
}
process.exit();

async function pack() {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch]);
  const [{ filename }] = Object.values(JSON.parse(stdout));
  return `file:${join(scratch, filename)}`;
}

async function show(application, title, sdk, env = {}) {
  const folder = await install(application, sdk);
  const pods = await Promise.all([0, 1].map(() => startPod(application, folder, env)));
  const balancer = await startRoundRobin(pods.map(pod => pod.port));
  const one = await answered(`http://127.0.0.1:${pods[0].port}/mcp`, application.tool);
  const two = await answered(`http://127.0.0.1:${balancer.address().port}/mcp`, application.tool);
  console.log(`${application.name}, on ${title}: one pod ${one}; two pods ${two}`);
  balancer.close();
  for (const { child } of pods) child.kill('SIGKILL');
}

async function install({ dependencies, files = {} }, sdk) {
  const folder = await mkdtemp(join(scratch, 'app-'));
  // npm wants the direct dependency and the override to be the same.
  const direct = SDK in dependencies || 'main.js' in files ? { [SDK]: sdk } : {};
  const overrides = { [SDK]: SDK in direct ? `$${SDK}` : sdk };
  const manifest = { private: true, type: 'module', dependencies: { ...dependencies, ...direct }, overrides };
  for (const [path, content] of Object.entries({ ...files, 'package.json': JSON.stringify(manifest) })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'], { cwd: folder });
  return folder;
}

async function startPod({ start }, folder, env) {
  const port = await freePort();
  const child = spawn(process.execPath, start(String(port)), {
    cwd: folder,
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: 'ignore'
  });
  children.push(child);
  for (let tries = 0; tries < 300; tries++) {
    const up = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (up) return { port, child };
    if (child.exitCode !== null) break;
    await delay(100);
  }
  throw new Error(`${start(port).join(' ')} did not start in ${folder}`);
}

/** How many of a client's calls in one session were answered, and what the others got. */
async function answered(url, tool) {
  const client = new Client({ name: 'swap', version: '1.0.0' });
  let good = 0;
  let failure = '';
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  } catch (error) {
    return `no session: ${firstLine(error)}`;
  }
  for (let each = 0; each < CALLS; each++) {
    try {
      const { content } = await client.callTool(tool, undefined, { timeout: 10_000 });
      if (content.some(({ text }) => text.includes('hello'))) good++;
    } catch (error) {
      failure = firstLine(error);
    }
  }
  await client.close();
  return `${good} of ${CALLS} calls${failure && ` (${failure})`}`;
}

function firstLine(error) {
  return String(error.message).split('\n')[0].slice(0, 100);
}

async function startRoundRobin(ports) {
  let turn = 0;
  const server = createServer((req, res) => {
    const { method, url: path, headers } = req;
    const onward = request({ host: '127.0.0.1', port: ports[turn++ % 2], method, path, headers, agent: false });
    onward.on('response', answer => {
      res.writeHead(answer.statusCode, answer.headers).flushHeaders();
      answer.pipe(res);
    });
    onward.on('error', () => res.destroy());
    res.on('close', () => onward.destroy());
    req.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function startRedis() {
  const port = await freePort();
  children.push(
    spawn('redis-server', ['--port', String(port), '--save', '', '--bind', '127.0.0.1'], { stdio: 'ignore' })
  );
  return `redis://127.0.0.1:${port}`;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
