import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FileSessionStore, InvalidOptionError, SessionRecordUnreadableError } from 'mcp-sdk-anypod/server';
import { lockContract, principalContract, sessionStateContract, sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { connect } from '../../support/clients/sdkClient.js';
import { startPod } from '../../support/pods/process.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

/** In memory where that is possible: the contract makes thousands of small files, each of which is waited for. */
const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

async function makeTwo({ ttlSeconds }: { ttlSeconds: number }) {
  const path = await mkdtemp(join(parent, 'anypod-'));
  const [first, second] = [new FileSessionStore({ path, ttlSeconds }), new FileSessionStore({ path, ttlSeconds })];
  const close = async () => {
    await Promise.all([first.close(), second.close()]);
    await rm(path, { recursive: true });
  };
  return { first, second, elapse: delay as (ms: number) => Promise<void>, close };
}

sessionStoreContract({
  describe,
  it,
  name: 'FileSessionStore',
  optionalMethods: ['touchSession', 'getSessionOwner', 'patchSession', 'listSessionIds'],
  makeTwo
});
lockContract({ describe, it, name: 'FileSessionStore', makeTwo });
sessionStateContract({ describe, it, name: 'FileSessionStore', makeTwo });
principalContract({ describe, it, name: 'FileSessionStore', makeTwo });

describe('FileSessionStore', () => {
  let path: string;
  let store: FileSessionStore;
  let log: string[];

  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'anypod-'));
    log = [];
    store = new FileSessionStore({ path, onLog: (level, message) => log.push(`${level} ${message}`) });
  });
  afterEach(async () => {
    await store.close();
    await rm(path, { recursive: true, force: true });
  });

  const create = (sessionId: string) => {
    const now = Date.now();
    return store.storeSession(sessionId, { sessionId, initialized: false, createdAt: now, lastActivity: now });
  };

  test.each(['sessions', 'locks', 'trash'])('a store in which %s is a symbolic link is refused', async name => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'anypod-'));
    try {
      await symlink(elsewhere, join(path, name));
      await expect(store.open()).rejects.toThrow(InvalidOptionError);
      await expect(create('a')).rejects.toThrow(`${name} is a symbolic link`);
      expect(await readdir(elsewhere)).toEqual([]);
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });

  test.each([
    ['the store', '.', 0o777],
    ['the store', '.', 0o720],
    ['its locks', 'locks', 0o702]
  ])('a directory of %s (%s) that other users may write to is reported: mode %o', async (_, name, mode) => {
    if (name !== '.') await mkdir(join(path, name));
    await chmod(join(path, name), mode);
    await store.open();
    expect(log).toEqual([expect.stringContaining(`(mode ${mode.toString(8)})`)]);
  });

  test('a directory that only its owner may write to is not reported', async () => {
    await chmod(path, 0o755);
    await store.open();
    expect(log).toEqual([]);
  });

  /** The files of the only session. */
  async function filesOf(): Promise<string[]> {
    const [name] = await readdir(`${path}/sessions`);
    return (await readdir(`${path}/sessions/${name}`)).sort().map(file => `${path}/sessions/${name}/${file}`);
  }

  test('keeps one file for each session, readable by its owner alone, under a name that reveals nothing', async () => {
    path = `${path}/made/for/it`;
    store = new FileSessionStore({ path });
    for (const id of ['../../escape', 'CON', 'a']) await create(id);
    await store.patchSession('a', { subscribe: 'file:///x' });
    const names = await readdir(`${path}/sessions`);
    expect(names).toEqual(Array(3).fill(expect.stringMatching(/^[0-9a-f]{64}$/)));
    const texts = [];
    for (const name of names) {
      const [file, ...others] = await readdir(`${path}/sessions/${name}`);
      expect(others).toEqual([]);
      texts.push(await readFile(`${path}/sessions/${name}/${file}`, 'utf8'));
      expect((await stat(`${path}/sessions/${name}`)).mode & 0o777).toBe(0o700);
      expect((await stat(`${path}/sessions/${name}/${file}`)).mode & 0o777).toBe(0o600);
    }
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect(texts.join()).toContain('"sessionId": "a",\n');
    expect(texts.join()).toContain('"subscriptions": [\n');
  });

  test.each(['{not json', '', '[]', '{"format":1,"writes":"x"}'])(
    'sets a record aside that reads %j, says so, and never takes the session for missing',
    async text => {
      await create('a');
      const [file] = (await filesOf()) as [string];
      await writeFile(file, text);
      const known = { sessionId: 'a', initialized: false, createdAt: 0, lastActivity: 0 };
      const calls = [
        () => store.getSession('a'),
        () => store.touchSession('a'),
        () => store.touchSession('a', { ...known, revision: 1 }),
        () => store.sessionExists('a'),
        () => store.patchSession('a', { logLevel: 'info' }),
        () => store.putState('a', '1'),
        () => create('a')
      ];
      for (const call of calls) await expect(call()).rejects.toThrow(SessionRecordUnreadableError);
      const [aside, ...others] = (await filesOf()) as [string];
      expect([aside, others]).toEqual([expect.stringMatching(/session\.1\.json\.corrupt-\d+$/), []]);
      expect(await readFile(aside, 'utf8')).toBe(text);
      expect(log).toContain(`warn a file cannot be read and was set aside: ${aside}`);

      await store.deleteSession('a');
      expect(await store.getSession('a')).toBeNull();
      expect(await readFile(aside, 'utf8')).toBe(text);
    }
  );

  test('a client whose record cannot be read gets 503 and not 404', async () => {
    const pod = await LocalPod.start({ sessionStore: store });
    const client = await new RawClient().open(pod.url);
    const [file] = (await filesOf()) as [string];
    await writeFile(file, 'truncat');
    for (let i = 0; i < 2; i++) expect((await client.request(pod.url, 'ping')).status).toBe(503);
    const ofRecord = pod.errors.filter(error => error.startsWith('SessionRecordUnreadableError'));
    expect(ofRecord).toEqual(Array(2).fill(expect.stringContaining('it was set aside as')));
    await pod.stop();
  });

  test('a record of a newer package version is kept, and the error asks for an upgrade', async () => {
    await create('a');
    const [file] = (await filesOf()) as [string];
    const newer = (await readFile(file, 'utf8')).replace('"format": 1', '"format": 2');
    await writeFile(file, newer);
    await expect(store.getSession('a')).rejects.toThrow('upgrade this one');
    expect(await readFile(file, 'utf8')).toBe(newer);
  });

  test('a path that cannot be a store is refused with a remedy', async () => {
    await writeFile(`${path}/file`, '');
    await mkdir(`${path}/newer`);
    await writeFile(`${path}/newer/anypod-sessions.json`, '{"format":2}');
    for (const [name, advice] of [
      ['file', 'expected a directory on a local disk'],
      ['file/below', 'expected a directory on a local disk'],
      ['newer', 'upgrade this package, or use another directory']
    ]) {
      const opened = new FileSessionStore({ path: `${path}/${name}` }).open();
      await expect(opened).rejects.toThrow(InvalidOptionError);
      await expect(opened).rejects.toThrow(advice);
    }
    for (const wrong of ['', 7, undefined, 'a\0b']) {
      expect(() => new FileSessionStore({ path: wrong as string })).toThrow(InvalidOptionError);
    }
  });

  test('a missing directory is an error, and does not make its sessions missing', async () => {
    await create('a');
    await rm(path, { recursive: true });
    await expect(store.getSession('a')).rejects.toThrow('put the directory back');
    await expect(store.touchSession('a')).rejects.toThrow('put the directory back');
    await expect(create('b')).rejects.toThrow('put the directory back');
  });

  test('creating sessions removes expired ones, but not records kept for inspection', async () => {
    for (const id of ['expired', 'deleted', 'unreadable', 'alive']) await create(id);
    await store.putState('expired', 'kept with it');
    await store.deleteSession('deleted');
    const longAgo = Date.now() / 1000 - 3600 - 70;
    for (const name of await readdir(`${path}/sessions`)) {
      for (const file of await readdir(`${path}/sessions/${name}`)) {
        const text = await readFile(`${path}/sessions/${name}/${file}`, 'utf8');
        if (text.includes('"unreadable"')) await writeFile(`${path}/sessions/${name}/${file}`, 'x');
        if (!text.includes('"alive"')) await utimes(`${path}/sessions/${name}/${file}`, longAgo, longAgo);
      }
    }
    let created = 0;
    await until('they are gone', async () => {
      await create(`other ${created++}`);
      return (await readdir(`${path}/sessions`)).length === 2 + created;
    });
    expect(await store.sessionExists('alive')).toBe(true);
    expect(log.filter(line => line.startsWith('warn'))).toEqual([expect.stringContaining('set aside')]);
    await create('expired');
    expect(await store.getState('expired')).toEqual({ value: null, version: 0 });
  });

  test("the SDK's client notices nothing if its pod is killed and started again", async () => {
    const pod = await startPod('test/support/pods/filePod.ts', ['0', path]);
    const client = await connect(pod.origin);
    expect(await client.call('whoami')).toBe(`Ada on ${pod.pid}`);
    await pod.stop('SIGKILL');
    const again = await startPod('test/support/pods/filePod.ts', [String(pod.port), path]);
    expect(await client.call('whoami')).toBe(`Ada on ${again.pid}`);
    expect(await client.call('whoami')).toBe(`Ada on ${again.pid}`);
    await client.delete();
    expect(await store.sessionExists(client.sessionId)).toBe(false);
    await client.close();
    await again.stop();
  });
});
