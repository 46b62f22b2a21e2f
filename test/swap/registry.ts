import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { listen } from '../support/servers/listen.js';

const run = promisify(execFile);
const NPM = 'https://registry.npmjs.org';

export interface Registry {
  readonly url: string;
  /** The fork, packed. */
  readonly tarball: string;
  readonly stop: () => Promise<void>;
}

interface Published {
  readonly manifest: { name: string; version: string };
  readonly file: string;
  readonly content: Buffer;
}

/**
 * A registry that has this package as it would be published, and `sdk-dependent`: a package such as a framework, which
 * depends on the SDK by a range. It sends package managers to npm's for everything else. The repository must be built.
 */
export async function startRegistry(): Promise<Registry> {
  const folder = await mkdtemp(join(tmpdir(), 'anypod-registry-'));
  const [fork, tarball] = await packFork();
  const packages = [fork, await pack(await sdkDependent(folder), folder)];
  // Package managers keep what they got from a URL, and a port may come again.
  const base = `/${randomUUID()}`;
  const { origin, stop } = await listen((req, res) => {
    const path = decodeURIComponent(req.url ?? '').slice(base.length);
    const asked = packages.find(each => path === `/${each.manifest.name}`);
    const file = packages.find(each => path === `/-/${each.file}`);
    if (asked) {
      res.setHeader('content-type', 'application/json').end(JSON.stringify(packument(asked, origin + base)));
    } else if (file) {
      res.setHeader('content-type', 'application/octet-stream').end(file.content);
    } else {
      res.writeHead(307, { location: NPM + req.url!.slice(base.length) }).end();
    }
  });
  return {
    url: origin + base,
    tarball,
    async stop() {
      await stop();
      await rm(folder, { recursive: true });
    }
  };
}

/** Packs this repository once for each state of it: several test files need the tarball. @returns it and its path */
async function packFork(): Promise<[Published, string]> {
  const hash = createHash('sha256');
  const documents = [
    'package.json',
    'README.md',
    'CHANGELOG.md',
    'PATCHES.md',
    'LICENSE',
    'src/mirror/packedReadme.mjs'
  ];
  const built = await readdir('dist', { recursive: true, withFileTypes: true });
  const files = built.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  for (const file of [...documents, ...files.sort()]) hash.update(`\0${file}\0`).update(await readFile(file));
  const folder = join(tmpdir(), `anypod-packed-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(folder)) {
    const draft = await mkdtemp(`${folder}-`);
    const staged = await stagePackage();
    await pack(staged, draft);
    await rm(staged, { recursive: true });
    // Another test file may have been faster. What it has packed is the same.
    await rename(draft, folder).catch(() => rm(draft, { recursive: true }));
  }
  const [file] = (await readdir(folder)) as [string];
  const tarball = join(folder, file);
  return [{ manifest: await manifestOf('.'), file, content: await readFile(tarball) }, tarball];
}

/** Copies the files of this package, as they are packed, into a folder. @returns the folder */
export async function stagePackage(): Promise<string> {
  const { stdout } = await run('npm', ['pack', '.', '--json', '--dry-run', '--ignore-scripts']);
  const [{ files }] = Object.values(JSON.parse(stdout) as Record<string, { files: { path: string }[] }>) as [
    { files: { path: string }[] }
  ];
  const folder = await mkdtemp(join(tmpdir(), 'anypod-staged-'));
  for (const { path } of files) await cp(path, join(folder, path));
  await run(process.execPath, [resolve('src/mirror/packedReadme.mjs'), 'write'], { cwd: folder });
  return folder;
}

async function pack(path: string, folder: string): Promise<Published> {
  const args = ['pack', `file:${path}`, '--json', '--ignore-scripts', '--pack-destination', folder];
  const { stdout } = await run('npm', args);
  const [{ filename }] = Object.values(JSON.parse(stdout) as Record<string, { filename: string }>) as [
    { filename: string }
  ];
  return { manifest: await manifestOf(path), file: filename, content: await readFile(join(folder, filename)) };
}

async function manifestOf(path: string): Promise<Published['manifest']> {
  return JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as Published['manifest'];
}

async function sdkDependent(folder: string): Promise<string> {
  const path = join(folder, 'sdk-dependent');
  await mkdir(path);
  await cp('test/swap/sdkDependent', path, { recursive: true });
  const manifest = {
    name: 'sdk-dependent',
    version: '1.0.0',
    exports: { import: './index.mjs', require: './index.cjs' },
    dependencies: { '@modelcontextprotocol/sdk': '^1.20.0' }
  };
  await writeFile(join(path, 'package.json'), JSON.stringify(manifest));
  return path;
}

function packument({ manifest, file, content }: Published, origin: string): unknown {
  const { name, version } = manifest;
  const integrity = `sha512-${createHash('sha512').update(content).digest('base64')}`;
  const dist = { tarball: `${origin}/-/${file}`, integrity };
  // Long ago, for package managers that let a release rest before they take it.
  const time = { [version]: '2020-01-01T00:00:00.000Z' };
  return { name, 'dist-tags': { latest: version }, time, versions: { [version]: { ...manifest, dist } } };
}
