/**
 * Swaps the SDK under published applications and shows what a client sees, on one pod and behind two, before and after.
 *
 *   npm run build && node examples/swap/main.mjs                      # the package of this repository
 *   node examples/swap/main.mjs npm:mcp-sdk-anypod@1.32.200           # or a published one
 *   node examples/swap/main.mjs --check                               # fails if the table in README.md of this folder says otherwise
 *
 * REDIS_URL, or a `redis-server` on the machine, is needed for the last row. Takes a minute or two.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'mcp-sdk-anypod/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-anypod/client/streamableHttp.js';
import { applications, fewLines } from './applications.mjs';

const run = promisify(execFile);
const SDK = '@modelcontextprotocol/sdk';
const CALLS = 8;
const scratch = await mkdtemp(join(tmpdir(), 'anypod-swap-'));
const children = [];

try {
  const args = process.argv.slice(2);
  const [fork = await pack()] = args.filter(arg => !arg.startsWith('--'));
  const redis = { REDIS_URL: process.env.REDIS_URL ?? (await startRedis()) };
  const cells = await inPairs([
    ...applications.flatMap(each => [
      () => cellOf(each, 'on the SDK', '1.32.2'),
      () => cellOf(each, 'on this package, unchanged', fork)
    ]),
    () => cellOf(fewLines, 'on this package, with a store', fork, redis)
  ]);
  for (const { name, column, one, two } of cells) console.log(`${name}, ${column}: one pod ${one}; two pods ${two}`);
  if (args.includes('--check')) await check(cells);
} finally {
  for (const child of children) child.kill('SIGKILL');
  await rm(scratch, { recursive: true, force: true });
}
// What pods and clients have left open ends here.
process.exit();

/** Two at a time: installing waits for the disk and the registry, and starting for the processor. */
async function inPairs(jobs) {
  const results = [];
  const left = [...jobs.entries()];
  const work = async () => {
    for (let next = left.shift(); next; next = left.shift()) results[next[0]] = await next[1]();
  };
  await Promise.all([work(), work()]);
  return results;
}

/** Compares the table in README.md with what was seen, both ways. */
async function check(cells) {
  const readme = await readFile(new URL('README.md', import.meta.url), 'utf8');
  const [head, , ...rows] = /^\| *\| on the SDK .*\n(?:\|.*\n)+/m.exec(readme)[0].trim().split('\n').map(fieldsOf);
  const promised = rows.flatMap(([row, ...texts]) =>
    texts.map((text, index) => `${row}, ${head[index + 1]}: ${text}`).filter(text => !text.endsWith(': –'))
  );
  const seen = cells.map(({ row, column, one, two }) => `${row}, ${column}: ${short(one)}; ${short(two)}`);
  const wrong = [
    ...seen.filter(each => !promised.includes(each)).map(each => `README.md does not say: ${each}`),
    ...promised.filter(each => !seen.includes(each)).map(each => `in README.md and not seen: ${each}`)
  ];
  for (const each of wrong) console.error(each);
  if (wrong.length > 0) process.exitCode = 1;
}

/** A row of a table: the name without code marks and brackets, and of each cell what comes before an explanation. */
function fieldsOf(line) {
  const [name, ...cells] = line.split('|').slice(1, -1);
  return [name.replaceAll('`', '').split('(')[0].trim(), ...cells.map(text => text.trim().split(/, with \[| it /)[0])];
}

/** `8` for `8 of 8 calls`, `no session` whatever the reason. */
function short(answers) {
  return answers === `${CALLS} of ${CALLS} calls` ? String(CALLS) : answers.split(':')[0];
}

async function pack() {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch]);
  const [{ filename }] = Object.values(JSON.parse(stdout));
  return `file:${join(scratch, filename)}`;
}

async function cellOf(application, column, sdk, env = {}) {
  const folder = await install(application, sdk);
  const pods = await Promise.all([0, 1].map(() => startPod(application, folder, env)));
  const balancer = await startRoundRobin(pods.map(pod => pod.port));
  const one = await answered(`http://127.0.0.1:${pods[0].port}/mcp`, application.tool);
  const two = await answered(`http://127.0.0.1:${balancer.address().port}/mcp`, application.tool);
  balancer.close();
  for (const { child } of pods) child.kill('SIGKILL');
  return { row: application.row, name: application.name, column, one, two };
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
