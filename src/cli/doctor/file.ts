import { constants } from 'node:fs';
import { access, link, lstat, opendir, readFile, stat, statfs, unlink, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FORMAT, parseObject, STORE_MARKER } from '../../backends/file/storeDirectory.js';
import { Date } from '../../timers.js';
import type { Findings } from '../finding.js';
import type { StorageOptions } from '../storage.js';
import { age, bytes } from '../terminal.js';

const WHY = 'the pod does not start, or answers every request with 503';
const WRITABLE_BY_OTHERS = 0o022;
/** The directories in a store. */
const KINDS = ['sessions', 'locks', 'trash'];
const FULL_PERCENT = 90;
/** Entries of the directory that are read to learn ages. */
const SAMPLE = 200;
const MAX_COUNTED = 1_000_000;

/** By the number that statfs returns (linux/magic.h). */
const NETWORK = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x65735546, 'FUSE'],
  [0x00c36400, 'CephFS'],
  [0x5346414f, 'AFS'],
  [0x01021997, '9p']
]);
const TMPFS = 0x01021994;
const OVERLAY = 0x794c7630;

/** Examines a directory of sessions. Creates nothing in it that stays. @returns its name, for the first line */
export async function examineFiles({ selection }: StorageOptions, findings: Findings): Promise<string> {
  const path = resolve(selection.address);
  if (await checkDirectory(path, findings)) {
    if (await checkWrites(path, findings)) {
      await checkFormat(path, findings);
      await checkSessions(path, findings);
    }
    await checkFileSystem(path, findings);
  }
  return `Files in ${path}`;
}

async function checkDirectory(path: string, findings: Findings): Promise<boolean> {
  const stats = await lstat(path).catch((error: NodeJS.ErrnoException) => error);
  if (stats instanceof Error) {
    if (stats.code !== 'ENOENT') {
      const fix = `ls -ld ${dirname(path)}: this user needs the right to enter it`;
      findings.fatal('directory', `it cannot be looked at (${stats.code})`, { why: WHY, fix });
    } else await checkParent(path, findings);
    return false;
  }
  if (!stats.isDirectory() && !stats.isSymbolicLink()) {
    findings.fatal('directory', 'it is not a directory', {
      why: WHY,
      fix: 'name a directory that holds sessions and nothing else'
    });
    return false;
  }
  for (const [place, name] of [path, ...KINDS.map(kind => `${path}/${kind}`)].map(
    place => [place, place.slice(path.length + 1) || 'the directory'] as const
  )) {
    const entry = await lstat(place).catch(() => undefined);
    if (entry?.isSymbolicLink() && place !== path) {
      findings.fatal('directory', `${name} is a symbolic link`, {
        why: 'the store refuses it: a link can lead anywhere',
        fix: `rm ${place}`
      });
    } else if (entry && ((await stat(place)).mode & WRITABLE_BY_OTHERS) !== 0) {
      findings.warning(
        'mode',
        `other users may write to ${name} (mode ${((await stat(place)).mode & 0o777).toString(8)})`,
        {
          why: 'they can read, change and end sessions',
          fix: `chmod 700 ${place}`
        }
      );
    }
  }
  if (!findings.has('fatal') && !findings.has('warning')) findings.ok('directory', 'only this user may write to it');
  return !findings.has('fatal');
}

async function checkParent(path: string, findings: Findings): Promise<void> {
  const parent = dirname(path);
  const usable = await access(parent, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false
  );
  if (usable) {
    findings.warning('directory', 'it does not exist', {
      why: 'the first pod creates it; if it should have sessions, the path is wrong or a disk is not mounted',
      fix: `mount | grep ${parent}, or name the right path`
    });
  } else {
    const fix = `mkdir -p -m 700 ${path} as a user that may, then chown it to the user of the pod`;
    findings.fatal('directory', `it does not exist, and this user may not create it in ${parent}`, { why: WHY, fix });
  }
}

/** Creates, links and removes a file, as the store does. */
async function checkWrites(path: string, findings: Findings): Promise<boolean> {
  const probe = `${path}/doctor-${globalThis.crypto.randomUUID()}.tmp`;
  try {
    await writeFile(probe, '{}', { flag: 'wx', mode: 0o600 });
    await link(probe, `${probe}.link`);
    const closed = await closedWithin(path);
    if (closed.length === 0) {
      findings.ok('rights', 'files can be created, linked and removed');
      return true;
    }
    findings.fatal('rights', `this user may not write to ${closed.join(', ')} in it`, {
      why: WHY,
      fix: `chown -R $(id -u) ${path}`
    });
    return false;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      findings.fatal('space', `no file can be created: the disk or a quota is used up (${code})`, {
        why: 'no session can be opened or changed: requests are answered 503',
        fix: `${spaceOf(path)}: remove files, or use another disk`
      });
      return false;
    }
    const fixes: Record<string, string> = {
      EACCES: `chown $(id -u) ${path} && chmod 700 ${path}`,
      EROFS: `mount -o remount,rw for the file system of ${path} (in Kubernetes: readOnly: false)`,
      EPERM: 'the file system has no hard links: use a directory on a local disk',
      ENOTSUP: 'the file system has no hard links: use a directory on a local disk'
    };
    findings.fatal('rights', `files cannot be created there (${code})`, {
      why: WHY,
      fix: fixes[code] ?? 'use another directory'
    });
    return false;
  } finally {
    await unlink(`${probe}.link`).catch(() => {});
    await unlink(probe).catch(() => {});
  }
}

/** The directories of the store to which this user may not write, perhaps because another user has started a pod. */
async function closedWithin(path: string): Promise<string[]> {
  const closed = KINDS.map(kind =>
    access(`${path}/${kind}`, constants.W_OK | constants.X_OK).then(
      () => [],
      ({ code }: NodeJS.ErrnoException) => (code === 'ENOENT' ? [] : [kind])
    )
  );
  return (await Promise.all(closed)).flat();
}

async function checkFormat(path: string, findings: Findings): Promise<void> {
  const text = await readFile(`${path}/${STORE_MARKER}`, 'utf8').catch(() => undefined);
  if (text === undefined) return findings.note('format', 'no pod has used it yet', `it has no ${STORE_MARKER}`);
  const format = parseObject(text)?.format;
  if (format === FORMAT) return findings.ok('format', `format ${FORMAT}`);
  const newer = typeof format === 'number' && format > FORMAT;
  findings.fatal(
    'format',
    newer ? `format ${format}, and this release knows ${FORMAT}` : `${STORE_MARKER} cannot be understood`,
    {
      why: WHY,
      fix: newer
        ? 'npm install mcp-sdk-anypod@latest'
        : `restore ${path}/${STORE_MARKER} from a backup, or use another directory`
    }
  );
}

/** The name of a file system that other hosts serve or may use. @param type - of statfs, which may be negative */
export function networkFileSystem(type: number): string | undefined {
  return NETWORK.get(type >>> 0);
}

function spaceOf(path: string): string {
  return `df -h ${path}; df -i ${path}`;
}

async function checkFileSystem(path: string, findings: Findings): Promise<void> {
  const { type, bavail, blocks, bsize, ffree, files } = await statfs(path);
  const network = networkFileSystem(type);
  if (network) {
    findings.warning('file-system', `it is on ${network}`, {
      why: 'locks and hard links do not work there as on a local disk: sessions can be lost or mixed',
      fix: 'use a local disk, or Redis or Postgres if several hosts serve'
    });
  } else if (type === TMPFS || type === OVERLAY) {
    const where = type === TMPFS ? 'in memory (tmpfs)' : 'in the layer of a container (overlay)';
    findings.warning('file-system', `it is ${where}`, {
      why: 'all sessions are lost when the machine or the container is started anew',
      fix: 'mount a volume: docker run -v sessions:/var/lib/mcp, or a PersistentVolumeClaim'
    });
  } else findings.ok('file-system', 'a local disk');
  if (findings.all.some(({ check }) => check === 'space')) return;
  const used = blocks === 0 ? 0 : Math.round(100 - (100 * bavail) / blocks);
  const usedFiles = files === 0 ? 0 : Math.round(100 - (100 * ffree) / files);
  const what = `${bytes(bavail * bsize)} are free (${used} % used, ${usedFiles} % of its files)`;
  if (used < FULL_PERCENT && usedFiles < FULL_PERCENT) return findings.ok('space', what);
  findings.warning('space', what, {
    why: 'when it is full, no session can be opened or changed',
    fix: `${spaceOf(path)}: remove files, or use another disk`
  });
}

async function checkSessions(path: string, findings: Findings): Promise<void> {
  let count = 0;
  const names: string[] = [];
  const directory = await opendir(`${path}/sessions`).catch(() => undefined);
  if (!directory) return;
  for await (const { name } of directory) {
    if (names.length < SAMPLE) names.push(name);
    if (++count === MAX_COUNTED) break;
  }
  let corrupt = 0;
  const used: number[] = [];
  for (const name of names) {
    for await (const file of await opendir(`${path}/sessions/${name}`).catch(() => [])) {
      if (file.name.includes('.corrupt-')) corrupt++;
      else if (file.name.endsWith('.json')) used.push((await stat(`${path}/sessions/${name}/${file.name}`)).mtimeMs);
    }
  }
  const known =
    used.length === 0
      ? ''
      : `; of ${names.length} of them, last used ${age(Date.now() - Math.max(...used))} to ${age(Date.now() - Math.min(...used))} ago`;
  findings.ok('sessions', `${count} directories of sessions${known}`);
  if (corrupt > 0) {
    findings.warning('sessions', `${corrupt} files could not be read and were set aside`, {
      why: 'their sessions are answered 503 until they expire: the disk, or another program, has damaged them',
      fix: `find ${path}/sessions -name '*.corrupt-*', and look for errors of the disk in dmesg`
    });
  }
}
