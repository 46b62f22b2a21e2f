/**
 * Makes the second package, `mcp-server-anypod`, from the output of the compiler: the modules that its entries
 * reach. What both packages share is compiled once. `npm run build` runs it after the compiler; it is not
 * part of a package.
 *
 *   dist-server/package.json          the manifest
 *   dist-server/dist/{esm,cjs}/**     the modules
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { registryPage, withAbsoluteLinks } from './packedReadme.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const target = join(root, 'dist-server');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** Stops a publish from here; a package that is published has no scripts. */
const UNPUBLISHED = { prepublishOnly: 'node ../src/mirror/packedReadme.mjs check' };
const ENTRIES = ['v2/index', 'v2/clientSessions', 'testing/common'];
/** Modules that differ between the packages: the path in this one, and in the source. */
const REPLACED = {
  'sdkTypes.d.ts': 'v2/sdkTypes.d.ts',
  'clientSessions/sdkClient.js': 'v2/sdkClient.js',
  'clientSessions/sdkClient.d.ts': 'v2/sdkClient.d.ts',
  'services/openTasks.js': 'v2/noTasks.js',
  'services/openTasks.d.ts': 'v2/noTasks.d.ts'
};

rmSync(target, { recursive: true, force: true });
for (const format of ['esm', 'cjs']) {
  const from = join(root, 'dist', format);
  const to = join(target, 'dist', format);
  for (const kind of ['.js', '.d.ts']) {
    for (const path of reached(from, kind)) copy(join(from, REPLACED[path] ?? path), join(to, path));
  }
  copy(join(from, 'absent.js'), join(to, 'absent.js'));
  rename(join(to, 'packageName.js'));
  // The first package has nothing of it.
  rmSync(join(from, 'v2'), { recursive: true });
}
writeFileSync(join(target, 'dist/cjs/package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
for (const file of ['LICENSE', 'CHANGELOG.md']) copyFileSync(join(root, file), join(target, file));
const readme = 'src/v2/README.md';
writeFileSync(join(target, 'README.md'), withAbsoluteLinks(readFileSync(join(root, readme), 'utf8'), readme, manifest));
writeFileSync(join(target, 'package.json'), `${JSON.stringify(serverManifest(), null, 2)}\n`);

/** The modules that the entries import, directly or not, as paths in `folder`. */
function reached(folder, kind) {
  const found = new Set();
  const waiting = ENTRIES.map(entry => `${entry}${kind}`);
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    const text = readFileSync(join(folder, REPLACED[path] ?? path), 'utf8');
    checkImports(path, text);
    for (const [, name] of text.matchAll(/(?:from |import\(|require\(|import )'?"?(\.{1,2}\/[^'"]+)\.js['"]/g)) {
      const imported = join(dirname(path), name).replaceAll('\\', '/') + kind;
      if (!existsSync(join(folder, imported))) throw new Error(`${path} imports ${imported}, which does not exist`);
      waiting.push(imported);
    }
  }
  return found;
}

function checkImports(path, text) {
  if (/['"]mcp-sdk-upstream\//.test(text) && path !== 'installation.js') {
    throw new Error(`${path} imports version 1 of the SDK`);
  }
}

/** The modules of this package say that they belong to it. */
function rename(path) {
  const text = readFileSync(path, 'utf8');
  const renamed = text.replace("'mcp-sdk-anypod'", "'mcp-server-anypod'");
  if (renamed === text) throw new Error(`${path} has no name to replace`);
  writeFileSync(path, renamed);
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

function entry(path) {
  const files = format => ({ types: `./dist/${format}/${path}.d.ts`, default: `./dist/${format}/${path}.js` });
  return { import: files('esm'), require: files('cjs') };
}

function serverManifest() {
  const { version, license, engines, imports, repository, bugs, peerDependencies, peerDependenciesMeta } = manifest;
  const name = 'mcp-server-anypod';
  const sdkClient = '@modelcontextprotocol/client';
  const clients = ['ioredis', 'iovalkey', 'pg', 'redis'];
  const pick = (object, names) => Object.fromEntries(names.map(name => [name, object[name]]));
  return {
    name,
    version: `2.4.${version.split('.')[2]}`,
    description:
      'Sessions that live on any pod, for version 2 of the MCP TypeScript SDK: one endpoint for clients of both protocol eras',
    homepage: registryPage(name),
    ...(repository && bugs ? { repository, bugs } : { scripts: UNPUBLISHED }),
    license,
    type: 'module',
    engines,
    keywords: manifest.keywords,
    exports: {
      '.': entry('v2/index'),
      './client-sessions': entry('v2/clientSessions'),
      './testing': entry('testing/common'),
      './package.json': './package.json'
    },
    imports: pick(imports, ['#ioredis', '#iovalkey', '#node-redis', '#pg']),
    main: './dist/cjs/v2/index.js',
    types: './dist/cjs/v2/index.d.ts',
    typesVersions: {
      '*': {
        'client-sessions': ['./dist/cjs/v2/clientSessions.d.ts'],
        testing: ['./dist/cjs/testing/common.d.ts']
      }
    },
    files: ['dist', 'CHANGELOG.md'],
    sideEffects: false,
    peerDependencies: {
      '@modelcontextprotocol/server': '^2.4.0',
      [sdkClient]: '^2.4.0',
      ...pick(peerDependencies, clients)
    },
    peerDependenciesMeta: { [sdkClient]: { optional: true }, ...pick(peerDependenciesMeta, clients) }
  };
}
