/**
 * Makes transports of each package named in the arguments, and prints as JSON the warnings and errors that come of it.
 *
 *   node construct.mjs [version] <name>...   on a Node that says it is of that version
 *   node construct.mjs --import <module>     only imports
 */
import { createRequire } from 'node:module';

const names = process.argv.slice(2);
const onlyImport = names[0] === '--import' && names.shift();
if (/^\d/.test(names[0])) {
  Object.defineProperty(process, 'versions', { value: { ...process.versions, node: names.shift() } });
}
const found = [];
process.on('warning', ({ code, message }) => found.push({ code, message }));
const require = createRequire(import.meta.url);

if (onlyImport) await report(() => import(names[0]));
else {
  for (const name of names) {
    await report(async () => construct(await import(`${name}/server/streamableHttp.js`)));
    await report(async () => construct(require(`${name}/server/streamableHttp.js`)));
  }
}
// Warnings are emitted in the next tick.
setImmediate(() => console.log(JSON.stringify(found)));

function construct({ StreamableHTTPServerTransport }) {
  new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
}

async function report(action) {
  try {
    await action();
  } catch ({ code, message }) {
    found.push({ code, message });
  }
}
