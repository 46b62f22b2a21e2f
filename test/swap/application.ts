import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Manager = 'npm' | 'pnpm' | 'yarn classic' | 'yarn' | 'yarn pnp';

/** An application in a folder of its own, far from this repository. */
export interface Application {
  readonly folder: string;
  /** Runs a script with Node. @returns what it wrote */
  run(script: string, ...args: string[]): Promise<{ stdout: string; stderr: string }>;
  remove(): Promise<void>;
}

/** Writes the application, with a copy of what is in test/swap/scripts, and installs its dependencies. */
export async function install(
  manager: Manager,
  registry: string,
  manifest: Record<string, unknown>,
  files: Record<string, string> = {}
): Promise<Application> {
  const folder = await mkdtemp(join(tmpdir(), 'anypod-application-'));
  const all = {
    'package.json': JSON.stringify({ name: 'application', private: true, ...manifest }, null, 2),
    ...files
  };
  const { command, configuration } = managers[manager](registry);
  for (const [name, content] of Object.entries({ ...all, ...configuration }))
    await writeFile(join(folder, name), content);
  await cp('test/swap/scripts', folder, { recursive: true });
  // Yarn's caches know a package by its version alone, and would give an earlier build of this one.
  const caches = { YARN_CACHE_FOLDER: join(folder, '.yarn-cache'), YARN_GLOBAL_FOLDER: join(folder, '.yarn-global') };
  const env = { ...process.env, ...caches, CI: '', NODE_ENV: '', npm_config_registry: registry };
  const [program, ...args] = command as [string, ...string[]];
  await run(program, args, { cwd: folder, env });
  const pnp = existsSync(join(folder, '.pnp.cjs')) ? ['-r', './.pnp.cjs', '--loader', './.pnp.loader.mjs'] : [];
  return {
    folder,
    run: (script, ...args) => run(process.execPath, [...pnp, script, ...args], { cwd: folder, timeout: 60_000 }),
    remove: () => rm(folder, { recursive: true, force: true })
  };
}

interface Command {
  readonly command: string[];
  readonly configuration?: Record<string, string>;
}

/** A package manager from this repository's dependencies. */
const own = (path: string): string[] => [process.execPath, resolve('node_modules', path)];

const berry =
  (linker: string) =>
  (registry: string): Command => ({
    command: [...own('@yarnpkg/cli-dist/bin/yarn.js'), 'install', '--no-immutable'],
    configuration: {
      'yarn.lock': '',
      '.yarnrc.yml': [
        `npmRegistryServer: ${registry}`,
        'unsafeHttpWhitelist: ["127.0.0.1"]',
        'enableTelemetry: false',
        `nodeLinker: ${linker}`
      ].join('\n')
    }
  });

const managers: Record<Manager, (registry: string) => Command> = {
  npm: () => ({ command: ['npm', 'install', '--no-audit', '--no-fund', '--prefer-offline'] }),
  pnpm: () => ({ command: [...own('pnpm/bin/pnpm.cjs'), 'install', '--prefer-offline', '--no-frozen-lockfile'] }),
  'yarn classic': registry => ({
    command: [...own('yarn/bin/yarn.js'), 'install', '--prefer-offline', '--no-lockfile', '--registry', registry]
  }),
  yarn: berry('node-modules'),
  'yarn pnp': berry('pnp')
};
