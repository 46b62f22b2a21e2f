import { chmod, chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileSessionStore } from 'mcp-sdk-anypod/server';
import { type Account, runCliJson } from '../../support/cli.js';
import { mayMount, openFolder, SmallDisk } from '../../support/smallDisk.js';

interface Report {
  findings: { check: string; level: string; what: string; why?: string; fix?: string }[];
}

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'cli-files-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function examine(path: string, account?: Account) {
  const { code, json } = await runCliJson<Report>(['doctor', '--url', `file:${path}`], {}, account);
  const problems = json.findings.filter(({ level }) => level === 'fatal' || level === 'warning');
  for (const { why, fix } of problems) expect([why, fix]).not.toContain(undefined);
  // The temporary folder of the machine that runs the tests may be in memory, or nearly full.
  const checks = problems.map(({ check }) => check).filter(check => check !== 'file-system' && check !== 'space');
  const finding = (check: string) => json.findings.find(each => each.check === check);
  return {
    code,
    checks,
    of: (check: string) => finding(check)?.what,
    advice: (check: string) => finding(check)?.fix,
    level: (check: string) => finding(check)?.level
  };
}

describe('the doctor on files', () => {
  it('finds a store of this release in order, and leaves no file', async () => {
    const path = join(folder, 'good');
    const store = new FileSessionStore({ path });
    const now = Date.now();
    await store.storeSession('one', { sessionId: 'one', initialized: true, createdAt: now, lastActivity: now });
    await store.close();
    const before = await readdir(path);
    const { checks, of } = await examine(path);
    expect([checks, of('format')]).toEqual([[], 'format 1']);
    expect(of('sessions')).toMatch(/^1 directories of sessions; of 1 of them, last used \d+s to \d+s ago$/);
    expect(await readdir(path)).toEqual(before);
  });

  it('warns of a directory that does not exist, and does not create it', async () => {
    expect(await examine(join(folder, 'absent'))).toMatchObject({ code: 1, checks: ['directory'] });
    expect(await readdir(folder)).not.toContain('absent');
  });

  it('warns of a directory to which other users may write', async () => {
    const path = join(folder, 'open');
    await mkdir(path);
    await chmod(path, 0o777);
    expect((await examine(path)).checks).toEqual(['mode']);
  });

  it('refuses a file, a symbolic link within the store, and the format of a newer release', async () => {
    await writeFile(join(folder, 'file'), '');
    expect(await examine(join(folder, 'file'))).toMatchObject({ code: 2, checks: ['directory'] });
    await mkdir(join(folder, 'linked'), { mode: 0o700 });
    await symlink(tmpdir(), join(folder, 'linked', 'sessions'));
    expect(await examine(join(folder, 'linked'))).toMatchObject({ code: 2, checks: ['directory'] });
    await mkdir(join(folder, 'newer'), { mode: 0o700 });
    await writeFile(join(folder, 'newer', 'anypod-sessions.json'), '{"format":99}');
    expect(await examine(join(folder, 'newer'))).toMatchObject({ code: 2, checks: ['format'] });
  });

  it('names a file system on which files cannot be created', async () => {
    const { code, checks } = await examine('/proc/self');
    expect([code, checks]).toEqual([2, ['rights']]);
  });
});

/** Nobody's account: root may write everywhere. */
const NOBODY: Account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

describe('the doctor on a directory that this user may not use', () => {
  it('names one to which it may not write, and who should own it', async () => {
    const path = await openFolder();
    await chmod(path, 0o555);
    const { code, checks, of, advice } = await examine(path, NOBODY);
    expect([code, checks, of('rights')]).toEqual([2, ['rights'], 'files cannot be created there (EACCES)']);
    expect(advice('rights')).toContain('chown');
  });

  it('names the parts of a store that another user owns', async () => {
    const path = await openFolder();
    await mkdir(join(path, 'sessions'), { mode: 0o555 });
    if (NOBODY.uid !== undefined) await chown(path, NOBODY.uid, NOBODY.gid!);
    const { code, of, advice } = await examine(path, NOBODY);
    expect([code, of('rights')]).toEqual([2, 'this user may not write to sessions in it']);
    expect(advice('rights')).toBe(`chown -R $(id -u) ${path}`);
  });

  it('names one that it may not create, and one that it may not look at', async () => {
    const path = await openFolder();
    await chmod(path, 0o555);
    const absent = await examine(join(path, 'store'), NOBODY);
    expect([absent.code, absent.of('directory')]).toEqual([2, expect.stringContaining('may not create it in')]);
    await chmod(path, 0);
    const hidden = await examine(join(path, 'store'), NOBODY);
    expect([hidden.code, hidden.of('directory')]).toEqual([2, 'it cannot be looked at (EACCES)']);
    await chmod(path, 0o700);
  });
});

(mayMount ? describe : describe.skip)('the doctor on a disk', () => {
  it('warns of a disk in memory, and of one that is nearly full', async () => {
    const { path } = await SmallDisk.mount('size=1m');
    const empty = await examine(path);
    expect([empty.code, empty.of('file-system'), empty.level('space')]).toEqual([1, 'it is in memory (tmpfs)', 'ok']);
    await writeFile(join(path, 'ballast'), Buffer.alloc(950 * 1024));
    const { code, of, advice, level } = await examine(path);
    expect([code, of('space'), level('space')]).toEqual([
      1,
      expect.stringMatching(/^\d+\.?\d* KiB are free \(9\d % used/),
      'warning'
    ]);
    expect(advice('space')).toContain(`df -h ${path}`);
  });

  it('warns of a disk that has space, but hardly a file left', async () => {
    const { path } = await SmallDisk.mount('size=1m,nr_inodes=40');
    for (let i = 0; i < 36; i++) await writeFile(join(path, `file-${i}`), '');
    const { of, level } = await examine(path);
    expect([level('space'), of('space')]).toEqual(['warning', expect.stringMatching(/9\d % of its files/)]);
  });

  it('names a disk that is full', async () => {
    const { path } = await SmallDisk.mount('size=64k');
    await writeFile(join(path, 'ballast'), Buffer.alloc(128 * 1024)).catch(() => {});
    const { code, of, level } = await examine(path);
    expect([code, level('space'), of('space')]).toEqual([2, 'fatal', expect.stringContaining('ENOSPC')]);
  });

  it('names a disk that is mounted for reading only', async () => {
    const disk = await SmallDisk.mount('size=64k');
    disk.makeReadOnly();
    const { code, of, advice } = await examine(disk.path);
    expect([code, of('rights')]).toEqual([2, 'files cannot be created there (EROFS)']);
    expect(advice('rights')).toContain('remount,rw');
  });
});
