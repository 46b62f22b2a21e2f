import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  const packages = [await pack('.', folder), await pack(await sdkDependent(folder), folder)];
  // Package managers keep what they got from a URL, and a port may come again.
  const base = `/${randomUUID()}`;
  const { origin, stop } = await listen((req, res) => {
    const path = decodeURIComponent(req.url ?? '').slice(base.length);
    const asked = packages.find(each => path === `/${each.manifest.name}`);
    const tarball = packages.find(each => path === `/-/${each.file}`);
    if (asked) {
      res.setHeader('content-type', 'application/json').end(JSON.stringify(packument(asked, origin + base)));
    } else if (tarball) {
      res.setHeader('content-type', 'application/octet-stream').end(tarball.content);
    } else {
      res.writeHead(307, { location: NPM + req.url!.slice(base.length) }).end();
    }
  });
  return {
    url: origin + base,
    tarball: join(folder, packages[0]!.file),
    async stop() {
      await stop();
      await rm(folder, { recursive: true });
    }
  };
}

async function pack(path: string, folder: string): Promise<Published> {
  const from = path === '.' ? path : `file:${path}`;
  const args = ['pack', from, '--json', '--ignore-scripts', '--pack-destination', folder];
  const { stdout } = await run('npm', args);
  const [{ filename }] = Object.values(JSON.parse(stdout) as Record<string, { filename: string }>) as [
    { filename: string }
  ];
  const manifest = JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as Published['manifest'];
  return { manifest, file: filename, content: await readFile(join(folder, filename)) };
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
