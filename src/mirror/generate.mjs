/**
 * Writes the mirror: one module for every public module of the SDK, under its path in the SDK, so that this package can
 * be installed under the SDK's name. `npm run build` runs it after the compiler; it is not part of the package.
 *
 *   dist/{esm,cjs}/sdk/**   the targets of the wildcards of `exports` in package.json
 *   dist/cjs/**             the modules of `imports`, by their names
 *
 * A replaced module exports this package's code. Any other exports the SDK's: the same objects, not copies.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const sdkRoot = join(root, 'node_modules/mcp-sdk-upstream');
const sdk = JSON.parse(readFileSync(join(sdkRoot, 'package.json'), 'utf8'));

/** The replacements of modules of the SDK, as paths in src. */
const replaced = {
  'server/index.js': 'server/index.js',
  'server/streamableHttp.js': 'server/streamableHttp.js',
  'server/webStandardStreamableHttp.js': 'server/webStandardStreamableHttp.js'
};

/** Module names from `exports` of the SDK, for resolvers that know files and folders only (`typesVersions`). */
const aliases = {
  'validation/ajv.js': 'validation/ajv-provider.js',
  'validation/cfworker.js': 'validation/cfworker-provider.js'
};

const modules = sdkModules('esm');
if (modules.join() !== sdkModules('cjs').join()) throw new Error('The ESM and the CJS modules of the SDK differ');
const unknown = Object.keys(replaced).filter(path => !modules.includes(path));
if (unknown.length > 0) throw new Error(`The SDK has no ${unknown.join(', ')}`);

for (const format of ['esm', 'cjs']) {
  const folder = join(root, 'dist', format, 'sdk');
  rmSync(folder, { recursive: true, force: true });
  for (const path of modules) write(folder, path, path in replaced ? replacement(path) : original(path), format);
  for (const [alias, path] of Object.entries(aliases)) write(folder, alias, original(path), format);
}
removeFromPackage();
copyFileSync(join(root, 'src/cli/demo/page.html'), join(root, 'dist/esm/cli/demo/page.html'));
writeFileSync(join(root, 'dist/cjs/package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
resolveImports();

/**
 * Names the modules of `imports` in the CommonJS build, which is for Node alone: a folder with a package.json of its own
 * does not see those of the package, and old tools do not know them.
 */
function resolveImports() {
  const { imports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const path of readdirSync(join(root, 'dist/cjs'), { recursive: true })) {
    const file = join(root, 'dist/cjs', path);
    if (!path.endsWith('.js')) continue;
    const source = readFileSync(file, 'utf8');
    const resolved = source.replace(/(?<=require\(["'])#[\w-]+/g, name => imports[name].node);
    if (resolved !== source) writeFileSync(file, resolved);
  }
}

/** The command line program is run, never imported: its CommonJS build and its types have no use. */
function removeFromPackage() {
  rmSync(join(root, 'dist/cjs/cli'), { recursive: true, force: true });
  for (const path of readdirSync(join(root, 'dist/esm/cli'), { recursive: true })) {
    if (path.endsWith('.d.ts')) rmSync(join(root, 'dist/esm/cli', path));
  }
}

/** The paths of all modules except the examples, `client/index.js` and so on. */
function sdkModules(format) {
  return readdirSync(join(sdkRoot, 'dist', format), { recursive: true })
    .map(path => path.replaceAll('\\', '/'))
    .filter(path => path.endsWith('.js') && !path.startsWith('examples/'))
    .sort();
}

function original(path) {
  const source = readFileSync(join(sdkRoot, 'dist/esm', path), 'utf8');
  if (/^export default /m.test(source.replace(/\/\*[^]*?\*\//g, ''))) throw new Error(`${path} has a default export`);
  return {
    from: `mcp-sdk-upstream/${path}`,
    header: `${path} of ${sdk.name} ${sdk.version} (${sdk.license}), unchanged.`
  };
}

function replacement(path) {
  const fromFolder = relative(join('sdk', dirname(path)), replaced[path]).replaceAll('\\', '/');
  return {
    from: fromFolder,
    header: `Stands in for ${path} of ${sdk.name} ${sdk.version}; PATCHES.md says how it differs.`
  };
}

function write(folder, path, { from, header }, format) {
  const file = join(folder, path);
  const comment = `// Generated. ${header}\n`;
  const star = `${comment}export * from '${from}';\n`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, format === 'esm' ? star : `${comment}'use strict';\nmodule.exports = require('${from}');\n`);
  writeFileSync(file.replace(/\.js$/, '.d.ts'), star);
}
