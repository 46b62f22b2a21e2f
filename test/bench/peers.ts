import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What else on npm serves MCP sessions from Redis, and is no fork or framework of hundreds of packages. */
const PACKAGES = ['tmcp', '@tmcp/transport-http', '@tmcp/session-manager-redis', '@tmcp/adapter-zod', 'zod@4'];
const INSTALL_TIMEOUT_MS = 120_000;

export interface InstalledPeers {
  directory: string;
  version: string;
  /** Why they are not there. */
  problem: string | undefined;
  remove: () => Promise<void>;
}

/** Installs the peers into a folder of their own, so that nobody who installs this repository gets them. */
export async function installPeers(): Promise<InstalledPeers> {
  const directory = await mkdtemp(join(tmpdir(), 'anypod-bench-peers-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    await writeFile(join(directory, 'package.json'), '{ "private": true }\n');
    const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...PACKAGES];
    await promisify(execFile)('npm', args, { cwd: directory, timeout: INSTALL_TIMEOUT_MS });
    const manifest = await readFile(join(directory, 'node_modules/tmcp/package.json'), 'utf8');
    const version = `tmcp ${(JSON.parse(manifest) as { version: string }).version}`;
    return { directory, version, problem: undefined, remove };
  } catch (error) {
    const problem = (error as Error).message.split('\n', 1)[0]!;
    return { directory, version: '', problem, remove };
  }
}
