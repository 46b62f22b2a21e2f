import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import ts from 'typescript';
import { typeScriptBlocks } from '../../support/readme.js';
import { useRedisAndPostgres } from '../../support/servers/useRedisAndPostgres.js';

const run = promisify(execFile);

/** Opens a session through the block's `handler`. That fails if the block's store does not work. */
const USE = `
  const body = JSON.stringify({
    jsonrpc: '2.0', id: 1, method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'client', version: '1' } }
  });
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const response = await handler.fetch(new Request('http://localhost/mcp', { method: 'POST', headers, body }));
  if (response.status !== 200) throw new Error(await response.text());
`;
const LEAVE = `console.log('done'); process.exit();`;

const servers = useRedisAndPostgres();

/** The first needs certificates and hosts that do not exist; the second a class of the reader (examples/store-contract.ts is run). */
const CANNOT_RUN = /rediss:\/\/|MySessionStore/;
const blocks = typeScriptBlocks.filter(({ code }) => !CANNOT_RUN.test(code));

test.each(blocks)('the TypeScript block of $document runs that follows the line: $under', async ({ code }) => {
  const here = code.replaceAll('redis://localhost:6379', servers.redis.url).replace('.listen(3000)', '.listen(0)');
  const { outputText } = ts.transpileModule([here, code.includes('const handler =') ? USE : '', LEAVE].join('\n'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
  });
  const SESSION_KEY = Buffer.alloc(32, 1).toString('base64');
  const env = { ...process.env, REDIS_URL: servers.redis.url, DATABASE_URL: servers.postgres.url, SESSION_KEY };
  const { stdout } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', outputText], {
    env
  });
  expect(stdout).toBe('done\n');
});

test('all TypeScript blocks of the documents run, except for two', () =>
  expect(blocks.length).toBeGreaterThan(typeScriptBlocks.length - 3));
