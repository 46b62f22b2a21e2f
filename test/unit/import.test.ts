import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import ts from 'typescript';

/**
 * What a module of src may call while it is loaded, by name: what creates a value and reads nothing. The functions of
 * this package among them are safe too, as the first test of this file shows.
 */
const harmless = new Set([
  'AsyncLocalStorage',
  ...['Map', 'Set', 'WeakMap', 'WeakSet', 'RegExp', 'TextEncoder', 'TextDecoder', 'Symbol', 'Symbol.for'],
  ...["'x'.repeat", 'SESSION_STORE_METHODS.join', 'JSON.stringify', 'globalThis.performance.now.bind', 'later'],
  ...['throughWrappers', 'optionalMethodsCase', 'KeyedQueue', 'SharedBuses', 'PRUNE', 'Attached', 'ClientStorage'],
  // Of node:diagnostics_channel, if the runtime has it.
  ...['builtInModule', 'channel']
]);

/** workerd refuses a module that uses randomness, timers or the network before the first request. */
const forbidden = [
  'crypto.randomUUID',
  'crypto.getRandomValues',
  'Math.random',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'fetch'
];

const prelude = forbidden
  .map(name => `globalThis.${name} = () => { throw new Error('${name} was called when the package was imported'); };`)
  .join('\n');

async function bundle(contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: join(__dirname, '../..'), loader: 'ts' },
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    logLevel: 'silent',
    external: ['node:*', 'ioredis', 'iovalkey', 'redis', 'pg', '#*']
  });
  return outputFiles[0]!.text;
}

function run(code: string, more: object = {}): void {
  const { TextEncoder, TextDecoder, URL, AbortController, ReadableStream, Request, Response, Headers } = globalThis;
  const web = { TextEncoder, TextDecoder, URL, AbortController, ReadableStream, Request, Response, Headers };
  runInNewContext(`${prelude}\n${code}`, { ...web, crypto: {}, performance: { now: () => 0 }, console, ...more });
}

test('importing the package uses no randomness, timers or network', async () => {
  run(await bundle(`export * from './src/index.ts'`));
});

test("the package is imported where the functions of Node's process throw, as in Next's edge runtime", async () => {
  const fail = () => {
    throw new Error('A Node.js API is used');
  };
  const process = { env: {}, getBuiltinModule: fail, emitWarning: fail };
  run(await bundle(`export * from './src/index.ts'`), { process });
});

test('code that uses one of them when it is imported would be noticed', async () => {
  const code = await bundle(`export const id = globalThis.crypto.randomUUID()`);
  expect(() => run(code)).toThrow('crypto.randomUUID was called when the package was imported');
});

test('no module of src calls a function while it is loaded, except a few that only create a value', () => {
  // The program and the pods of its demo are run, never imported.
  const programs = [join('cli', 'main.ts'), join('cli', 'demo', 'pod.ts')];
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    path => path.endsWith('.ts') && !programs.includes(path)
  );
  const calls = files.flatMap(path =>
    callsOnLoad(readFileSync(join('src', path), 'utf8')).map(name => `${path}: ${name}`)
  );
  expect(calls.length).toBeGreaterThan(40);
  expect(calls.filter(call => !harmless.has(call.replace(/^.*?: /, '')))).toEqual([]);
});

test('a call that runs when a module is loaded is found, and one in a function or in a constructor is not', () => {
  const source = `
    const id = crypto.randomUUID();
    export class A { static now = Date.now(); id = newId(); constructor() { start(); } static { listen(); } }
    export const later = () => setTimeout(() => {}, 0);
    const data = await load();`;
  expect(callsOnLoad(source)).toEqual(['crypto.randomUUID', 'Date.now', 'listen', 'await', 'load']);
});

/** The names of the functions that a module calls when it is loaded. */
function callsOnLoad(source: string): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    const isLater = ts.isFunctionLike(node) || (ts.isPropertyDeclaration(node) && !isStatic(node));
    if (isLater || ts.isTypeNode(node)) return;
    if (ts.isAwaitExpression(node)) names.push('await');
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) names.push(node.expression.getText());
    if (ts.isTaggedTemplateExpression(node)) names.push(node.tag.getText());
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('module.ts', source, ts.ScriptTarget.ES2022, true));
  return names;
}

function isStatic({ modifiers }: ts.PropertyDeclaration): boolean {
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.StaticKeyword) ?? false;
}
