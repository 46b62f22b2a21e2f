import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Pod, startPods } from '../support/pods/process.js';
import { listen } from '../support/servers/listen.js';
import { type RedisServer, startRedisServer } from '../support/servers/redisServer.js';
import { startRoundRobin } from '../support/servers/roundRobin.js';
import type { Seen } from './browserPage.js';

/** The origin of a page with the SDK's client. */
interface Site {
  readonly origin: string;
  /** What the page has seen, after a browser has opened it. */
  readonly seen: Promise<Seen>;
  stop(): Promise<void>;
}

let redis: RedisServer;
let script: string;

beforeAll(async () => {
  redis = await startRedisServer();
  const entryPoints = ['test/examples/browserPage.ts'];
  const { outputFiles } = await build({ entryPoints, bundle: true, platform: 'browser', write: false });
  script = outputFiles[0]!.text;
});

afterAll(() => redis?.stop());

async function startSite(): Promise<Site> {
  let resolve: (seen: Seen) => void = () => {};
  const seen = new Promise<Seen>(each => (resolve = each));
  const server = await listen((req, res) => {
    if (req.url === '/script.js') return void res.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    res.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><script src="/script.js"></script>');
    if (req.url === '/seen') void text(req).then(body => resolve(JSON.parse(body) as Seen));
  });
  return { origin: server.origin, seen, stop: () => server.stop() };
}

/** Opens an address in a headless Chromium. @returns a function that ends the browser */
async function browse(url: string): Promise<() => Promise<void>> {
  const profile = await mkdtemp(join(tmpdir(), 'anypod-browser-'));
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    `--user-data-dir=${profile}`
  ];
  // A process group of its own, because the browser consists of several processes.
  const browser = spawn('chromium', [...flags, url], { stdio: 'ignore', detached: true });
  const ended = once(browser, 'exit');
  await once(browser, 'spawn');
  return async () => {
    process.kill(-browser.pid!, 'SIGKILL');
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  };
}

/** What a page of `site` sees that uses two pods of the example. The pods allow pages of `allowed`. */
async function visit(example: string, allowed: (site: Site) => string): Promise<{ seen: Seen; pods: Pod[] }> {
  const site = await startSite();
  const isModule = /hono\.ts|next-route\.ts/.test(example);
  const args = isModule ? [`examples/frameworks/${example}`] : [];
  const env = { PORT: '0', REDIS_URL: redis.url, ORIGIN: allowed(site) };
  const pods = await startPods(2, isModule ? 'test/examples/fetchHost.ts' : `examples/frameworks/${example}`, args, {
    env
  });
  const balancer = await startRoundRobin(pods.map(pod => pod.port));
  const leave = await browse(`${site.origin}/#${encodeURIComponent(`${balancer.origin}/mcp`)}`);
  try {
    return { seen: await site.seen, pods };
  } finally {
    await leave();
    await balancer.stop();
    await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
    await site.stop();
  }
}

test.each(['express.ts', 'hono.ts'])('a client in a browser uses two pods of another origin: %s', async example => {
  const { seen, pods } = await visit(example, site => site.origin);
  expect(seen).toEqual({ answers: expect.any(Array) as string[], deleted: true });
  expect(new Set(seen.answers)).toEqual(new Set(pods.map(({ pid }) => `browser on pod ${pid}`)));
});

test('the browser refuses the answers to a page of an origin that the server does not allow', async () => {
  const { seen } = await visit('express.ts', () => 'https://app.example.com');
  expect(seen.failure).toMatch(/Failed to fetch/);
});
