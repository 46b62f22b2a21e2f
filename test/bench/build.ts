import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/**
 * What runs there imports both packages under their names, as users do: the first one because it is in its scope, the
 * second one through a link to `dist-server`.
 */
export const BUILT = join(ROOT, '.bench');

/**
 * Builds `dist` where it is older than `src`, and the bench's processes. They run as compiled code in plain Node, for the
 * stock SDK is compiled too: a loader's transform would slow one side alone.
 */
export async function buildAll(wanted: boolean): Promise<void> {
  const built = await newest(join(ROOT, 'dist'));
  if (wanted && built < (await newest(join(ROOT, 'src')))) {
    const child = spawn('npm', ['run', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error('npm run build failed');
  }
  const sources = join(ROOT, 'test/bench/processes');
  const entries = (await readdir(sources)).map(name => join(sources, name));
  await build({
    entryPoints: entries,
    outdir: BUILT,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'es2022',
    // The repository's `paths` lead to sources.
    tsconfigRaw: '{}'
  });
  await buildBundled(sources, 'bundledPod', {});
  await buildBundled(sources, 'silentPod', WITHOUT_CHANNELS);
  const second = join(BUILT, 'node_modules/mcp-server-anypod');
  await mkdir(dirname(second), { recursive: true });
  await rm(second, { force: true });
  await symlink(join(ROOT, 'dist-server'), second);
}

const CHANNEL = '{ hasSubscribers: false, publish() {}, subscribe() {}, unsubscribe: () => false }';

/** Modules of `dist/esm/events` that announce nothing. */
const WITHOUT_CHANNELS: Readonly<Record<string, string>> = {
  'channels.js': ['sessions', 'exchanges', 'requests', 'streams', 'storeCalls', 'busCalls', 'logCalls']
    .map(name => `export const ${name} = ${CHANNEL};`)
    .join('\n'),
  'observed.js': ['ObservedExchange', 'ObservedRequest', 'ObservedBusMessage']
    .map(name => `export const ${name} = { begin() {} };`)
    .join('\n')
};

/** The program of a pod with the package in it, some modules of which are replaced. */
async function buildBundled(sources: string, name: string, replaced: Readonly<Record<string, string>>): Promise<void> {
  await build({
    entryPoints: { [name]: join(sources, 'pod.ts') },
    outdir: BUILT,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'es2022',
    tsconfigRaw: '{}',
    plugins: [
      {
        name: 'replaced modules',
        setup(building) {
          // All other packages stay outside, as in the other program.
          building.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            kind === 'entry-point' || path.startsWith('mcp-sdk-anypod') ? undefined : { path, external: true }
          );
          building.onLoad({ filter: /dist.esm.events.\w+\.js$/ }, ({ path }) => {
            const contents = replaced[basename(path)];
            return contents === undefined ? undefined : { contents };
          });
        }
      }
    ]
  });
}

/** When the newest file below a folder was written; 0 where the folder is not there. */
async function newest(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const times = await Promise.all(names.map(async name => (await stat(join(folder, name))).mtimeMs));
  return times.reduce((latest, time) => Math.max(latest, time), 0);
}
