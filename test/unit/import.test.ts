import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';

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
    external: ['node:*', 'ioredis', 'iovalkey', 'redis', 'pg']
  });
  return outputFiles[0]!.text;
}

function run(code: string): void {
  const { TextEncoder, TextDecoder, URL, AbortController, ReadableStream, Request, Response, Headers } = globalThis;
  const web = { TextEncoder, TextDecoder, URL, AbortController, ReadableStream, Request, Response, Headers };
  runInNewContext(`${prelude}\n${code}`, { ...web, crypto: {}, performance: { now: () => 0 }, console });
}

test('importing the package uses no randomness, timers or network', async () => {
  run(await bundle(`export * from './src/index.ts'`));
});

test('code that uses one of them when it is imported would be noticed', async () => {
  const code = await bundle(`export const id = globalThis.crypto.randomUUID()`);
  expect(() => run(code)).toThrow('crypto.randomUUID was called when the package was imported');
});
