import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from 'mcp-sdk-anypod/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-anypod/client/streamableHttp.js';
import { ElicitRequestSchema } from 'mcp-sdk-anypod/types.js';

const run = promisify(execFile);
const PNPM = fileURLToPath(new URL('../../node_modules/pnpm/bin/pnpm.cjs', import.meta.url));
const CALLS = 8;
const children = [];
let scratch;

/**
 * Runs each application on one pod and behind two, prints what a client sees, and ends the process.
 * @param folder - of the package that is packed, if the command line names none
 * @param readme - the URL of a document; with `--check`, its table must say the same
 * @param cellsOf - what runs, given the package and the environment with a Redis: `{ application, column, manifest, env }`.
 *   Applications with the same `manifest` share what is installed. If an application has `modern`, a client of 2026-07-28
 *   calls it too, and `modern` says what is different for it
 */
export async function showApplications({ folder, readme, cellsOf }) {
  scratch = await mkdtemp(join(tmpdir(), 'anypod-swap-'));
  try {
    const args = process.argv.slice(2);
    const [fork = await pack(folder)] = args.filter(arg => !arg.startsWith('--'));
    const redis = { REDIS_URL: process.env.REDIS_URL ?? (await startRedis()) };
    const planned = cellsOf(fork, redis);
    const installed = new Map();
    for (const { manifest } of planned) {
      const key = JSON.stringify(manifest);
      if (!installed.has(key)) installed.set(key, await install(manifest));
    }
    const jobs = planned.map(cell => () => resultsOf(cell, installed.get(JSON.stringify(cell.manifest))));
    const cells = (await inPairs(jobs)).flat();
    for (const { name, column, one, two } of cells) console.log(`${name}, ${column}: one pod ${one}; two pods ${two}`);
    if (args.includes('--check')) await check(cells, readme);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await rm(scratch, { recursive: true, force: true });
  }
  // What pods and clients have left open ends here.
  process.exit();
}

/** Two at a time: more would wait for each other. */
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
async function check(cells, readme) {
  const text = await readFile(readme, 'utf8');
  const [head, , ...rows] = /^\| *\| (?:on|with) the SDK.*\n(?:\|.*\n)+/m
    .exec(text)[0]
    .trim()
    .split('\n')
    .map(fieldsOf);
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

async function pack(folder) {
  const { stdout } = await run('npm', ['pack', folder, '--json', '--ignore-scripts', '--pack-destination', scratch]);
  const [{ filename }] = Object.values(JSON.parse(stdout));
  return `file:${join(scratch, filename)}`;
}

/** Runs one application for the clients of each protocol version that it is shown for. */
async function resultsOf({ application, column, env }, modules) {
  const folder = await write(application, modules);
  const pods = await Promise.all([0, 1].map(() => startPod(application, folder, env)));
  const balancer = await startRoundRobin(pods.map(pod => pod.port));
  const { row, name, modern } = application;
  const resultOf = async (column, expected, connect) => ({
    row,
    name,
    column,
    one: await answered(`http://127.0.0.1:${pods[0].port}/mcp`, expected, connect),
    two: await answered(`http://127.0.0.1:${balancer.address().port}/mcp`, expected, connect)
  });
  const results = [await resultOf(column, application, connect)];
  if (modern) results.push(await resultOf(`2026-07-28, ${column}`, { ...application, ...modern }, connectModern));
  balancer.close();
  for (const { child } of pods) child.kill('SIGKILL');
  return results;
}

/**
 * Installs packages with pnpm, which takes a third of the time of npm, in the layout of npm.
 * @returns the folder with the packages
 */
async function install({ dependencies, overrides }) {
  const folder = await mkdtemp(join(scratch, 'packages-'));
  const manifest = { private: true, dependencies, pnpm: { overrides } };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  const options = ['--prefer-offline', '--no-frozen-lockfile', '--ignore-scripts', '--config.node-linker=hoisted'];
  await run(process.execPath, [PNPM, 'install', ...options], { cwd: folder });
  return join(folder, 'node_modules');
}

/** Writes the files of an application. @returns its folder */
async function write({ files = {} }, modules) {
  const folder = await mkdtemp(join(scratch, 'app-'));
  await symlink(modules, join(folder, 'node_modules'));
  for (const [path, content] of Object.entries({
    ...files,
    'package.json': JSON.stringify({ private: true, type: 'module' })
  })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
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

/**
 * How many of a client's calls were answered, and what the others got. If the application has an `answer`, each call must
 * have asked the client for it.
 */
async function answered(url, { tool, says = 'hello', answer }, connect) {
  let asked = 0;
  let client;
  try {
    client = await connect(new URL(url), () => {
      asked++;
      return { action: 'accept', content: answer };
    });
  } catch (error) {
    return `no session: ${firstLine(error)}`;
  }
  let good = 0;
  let failure = '';
  for (let each = 0; each < CALLS; each++) {
    try {
      const { content } = await client.call(tool);
      if (content.some(({ text }) => text.includes(says)) && (answer === undefined || asked === each + 1)) good++;
    } catch (error) {
      failure = firstLine(error);
    }
  }
  await client.close();
  return `${good} of ${CALLS} calls${failure && ` (${failure})`}`;
}

const TIMEOUT = { timeout: 10_000 };
const CLIENT = { name: 'swap', version: '1.0.0' };

/** A client of 2025-11-25, which has a session. */
async function connect(url, onQuestion) {
  const client = new Client(CLIENT, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, onQuestion);
  await client.connect(new StreamableHTTPClientTransport(url));
  return { call: tool => client.callTool(tool, undefined, TIMEOUT), close: () => client.close() };
}

/** A client of 2026-07-28 and of no other version. */
async function connectModern(url, onQuestion) {
  const client = new ModernClient(CLIENT, {
    capabilities: { elicitation: { form: {} } },
    versionNegotiation: { mode: { pin: '2026-07-28' } }
  });
  client.setRequestHandler('elicitation/create', onQuestion);
  await client.connect(new ModernTransport(url));
  return { call: tool => client.callTool(tool, TIMEOUT), close: () => client.close() };
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
