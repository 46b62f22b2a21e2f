import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopAfterTest } from './stopAfterTest.js';

/** Whether this user may mount a file system. */
export const mayMount = process.getuid?.() === 0;

/** A directory on a file system of its own, in memory, until the test has ended. */
export class SmallDisk {
  readonly path: string;

  /** @param options - of the mount, such as `size=1m` */
  static async mount(options: string): Promise<SmallDisk> {
    const path = await mkdtemp(join(tmpdir(), 'small-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `${options},mode=700`, 'tmpfs', path]);
    stopAfterTest(async () => {
      execFileSync('umount', [path]);
      await rm(path, { recursive: true });
    });
    return new SmallDisk(path);
  }

  private constructor(path: string) {
    this.path = path;
  }

  makeReadOnly(): void {
    execFileSync('mount', ['-o', 'remount,ro', this.path]);
  }
}

/** A directory that every user may enter, until the test has ended. */
export async function openFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'open-folder-'));
  await chmod(path, 0o755);
  stopAfterTest(() => rm(path, { recursive: true }));
  return path;
}
