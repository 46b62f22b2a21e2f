// The suite's CLI imports `globSync` from 'fs' (Node 22 and later) for a command that is not run here; without that
// name it does not even link. This preload gives its modules, and no others, an 'fs' that has the name.
import fs from 'node:fs';
import { register } from 'node:module';

const script = source => `data:text/javascript,${encodeURIComponent(source)}`;

const fsWithGlobSync = script(`
  export * from 'node:fs';
  export function globSync() { throw new Error('globSync needs Node 22'); }
`);

const hooks = script(`
  export function resolve(specifier, context, next) {
    const fromSuite = /\\/(@modelcontextprotocol\\/conformance|conformance-next)\\/dist\\//.test(context.parentURL);
    return fromSuite && specifier === 'fs' ? { url: ${JSON.stringify(fsWithGlobSync)}, shortCircuit: true } : next(specifier, context);
  }
`);

if (!fs.globSync) register(hooks);
