import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FileSessionStore } from 'mcp-sdk-anypod/server';
import { compile } from '../../support/pods/compiled.js';
import { until } from '../../support/until.js';

const KILLS = 300;
const LANES = 4;
/** On a machine that starts processes too slowly for all of them. */
const MAX_MS = 20_000;
const MIN_KILLS = 20;

let compiled: Awaited<ReturnType<typeof compile>>;
let path: string;
let store: FileSessionStore;

beforeAll(async () => {
  compiled = await compile('test/support/pods/fileStoreWriter.ts');
  await chmod(compiled.directory, 0o755);
});
afterAll(() => compiled.remove());

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'anypod-'));
  store = new FileSessionStore({ path });
});
afterEach(async () => {
  await store.close();
  await rm(path, { recursive: true });
});

/** A process that runs fileStoreWriter.ts. */
class Writer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #output = '';
  #errors = '';

  constructor(mode: string, name: string, sessionId: string, options: { uid?: number } = {}) {
    const script = join(compiled.directory, 'test/support/pods/fileStoreWriter.js');
    this.#child = spawn(process.execPath, [script, mode, path, name, sessionId], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    // Behind the last of its output.
    this.#ended = once(this.#child, 'close');
  }

  get lines(): string[] {
    return this.#output.split('\n').slice(0, -1);
  }

  get errors(): string {
    return this.#errors;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<string[]> {
    await this.#ended;
    return this.lines;
  }
}

test('a writer killed at any moment loses no acknowledged write and leaves a working store', async () => {
  await create('shared');
  const began = Date.now();
  const acknowledged: string[] = [];
  let kills = 0;

  const lane = async () => {
    while (kills < KILLS && Date.now() - began < MAX_MS) {
      const name = `w${kills++}`;
      const writer = new Writer('untilKilled', name, 'shared');
      await until(`${name} writes`, () => writer.lines.length > 0);
      await delay(Math.random() * 100);
      writer.kill();
      const lines = await writer.end();
      expect(writer.errors).toBe('');
      acknowledged.push(...(await check(lines)));
      expect(await store.patchSession('shared', { subscribe: `after ${name}` })).toBe(true);
      acknowledged.push(`after ${name}`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));

  expect(kills).toBeGreaterThanOrEqual(MIN_KILLS);
  const kept = new Set((await store.getSession('shared'))!.metadata!.mcp!.subscriptions);
  expect(acknowledged.filter(uri => !kept.has(uri))).toEqual([]);
  // Nobody waits for the dead: their leases end.
  await until('the lock is free', () => store.acquireLock('shared', 'survivor', 1000));
});

/** Compares the store with what a writer has said. @returns what it has done to the shared session */
async function check(lines: readonly string[]): Promise<string[]> {
  const done = new Set(lines.filter(line => line.startsWith('done ')).map(line => line.slice(5)));
  const begun = lines.filter(line => line.startsWith('begin ')).map(line => line.slice(6));
  const own = new Set(begun.map(what => what.split(' ')[1] as string).filter(id => id !== 'shared'));
  for (const id of own) {
    const session = await store.getSession(id);
    if (done.has(`delete ${id}`)) expect(session).toBeNull();
    else if (done.has(`create ${id}`) && !begun.includes(`delete ${id}`)) {
      const asked = (action: string, from: Iterable<string>) =>
        [...from].filter(what => what.startsWith(`${action} ${id} `)).map(what => what.split(' ')[2] as string);
      const subscriptions = session!.metadata?.mcp?.subscriptions ?? [];
      expect(subscriptions).toEqual(expect.arrayContaining(asked('subscribe', done)));
      expect(asked('subscribe', begun)).toEqual(expect.arrayContaining(subscriptions));
      const states = [asked('state', done).at(-1) ?? null, asked('state', begun).at(-1) ?? null];
      expect(states).toContain((await store.getState(id))!.value);
    }
  }
  return [...done].filter(what => what.startsWith('subscribe shared ')).map(what => what.split(' ')[2] as string);
}

test('four processes that write at once lose none of their changes, and count no change twice', async () => {
  await create('shared');
  await store.putState('shared', '0');
  const writers = ['a', 'b', 'c', 'd'].map(name => new Writer('count', name, 'shared'));
  for (const writer of writers) expect([await writer.end(), writer.errors]).toEqual([['done'], '']);
  expect(new Set((await store.getSession('shared'))!.metadata!.mcp!.subscriptions).size).toBe(100);
  expect((await store.getState('shared'))?.value).toBe('100');
});

test('a directory without write permission is refused with a remedy', async () => {
  await chmod(path, 0o555);
  // Who is root may write anywhere.
  const writer = new Writer('open', '', '', process.getuid?.() === 0 ? { uid: 65534 } : {});
  expect(await writer.end()).toEqual([
    expect.stringMatching(
      /^ANYPOD_STORE_UNAVAILABLE: .* this process may not write there: change the owner or the mode/
    )
  ]);
});

function create(sessionId: string): Promise<void> {
  const now = Date.now();
  return store.storeSession(sessionId, { sessionId, initialized: false, createdAt: now, lastActivity: now });
}
