/**
 * Compares what is installed under the name of the SDK with the stock SDK, module by module, as ESM and as CommonJS:
 * `node mirror.mjs <name> <stock>` prints the differences as JSON.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const [name, stock] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const dist = join(dirname(require.resolve(`${stock}/types.js`)), '..');

const modules = readdirSync(join(dist, 'esm'), { recursive: true }).filter(
  path => path.endsWith('.js') && !path.startsWith('examples')
);
const shortNames = [
  'client',
  'server',
  'validation',
  'validation/ajv',
  'validation/cfworker',
  'experimental',
  'experimental/tasks'
];
const pairs = [
  ...shortNames.map(path => [path, path]),
  ...modules.map(path => [path, path]),
  // The SDK has types for these and no module; here they are the modules.
  ...modules.map(path => [path.slice(0, -'.js'.length), path])
];

const formats = { import: path => import(path), require: async path => require(path) };
const report = { modules: modules.length, missing: [], lacking: [], replaced: {}, added: {} };
for (const [format, load] of Object.entries(formats)) {
  for (const [path, stockPath] of pairs) {
    const [ours, original] = await Promise.allSettled([load(`${name}/${path}`), load(`${stock}/${stockPath}`)]);
    if (original.status === 'rejected') throw original.reason;
    if (ours.status === 'rejected') report.missing.push(`${format} ${path}: ${ours.reason.message}`);
    else compare(format, path, ours.value, original.value);
  }
}
console.log(JSON.stringify(report));

function compare(format, path, ours, original) {
  for (const key of Object.keys(original)) {
    if (!(key in ours)) report.lacking.push(`${format} ${path}: ${key}`);
    else if (ours[key] !== original[key]) (report.replaced[key] ??= []).push(`${format} ${path}`);
  }
  const added = Object.keys(ours).filter(key => !(key in original));
  if (added.length > 0) (report.added[path] ??= []).push(format);
}
