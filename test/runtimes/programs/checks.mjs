/**
 * What a runtime can load and store: imports every entry in both formats, and serves a session on two pods over each kind
 * of store. Prints what it found as JSON.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import pg from 'pg';
import { createClient } from 'redis';
import { Client } from 'mcp-sdk-anypod/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-anypod/client/streamableHttp.js';
import {
  createMcpHandler,
  createSessionServices,
  FileSessionStore,
  migrate,
  PostgresSessionStore,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import { serverFactory } from './server.mjs';

const { REDIS_URL, DATABASE_URL, FILES } = process.env;
const require = createRequire(import.meta.url);

/** The entries of `exports`, and some of the mirrored modules. */
const entries = [
  ...Object.keys(JSON.parse(readFileSync(require.resolve('mcp-sdk-anypod/package.json'), 'utf8')).exports)
    .filter(entry => !/[*]|package\.json|cfworker/.test(entry))
    .map(entry => `mcp-sdk-anypod${entry.slice(1)}`),
  ...['types.js', 'server/mcp.js', 'server/streamableHttp.js', 'client/streamableHttp.js'].map(
    path => `mcp-sdk-anypod/${path}`
  )
];
const failures = [];
for (const entry of entries) {
  const esm = await import(entry).then(Object.keys, error => void failures.push(`import ${entry}: ${error.message}`));
  try {
    const cjs = Object.keys(require(entry));
    const missing = esm?.filter(name => name !== 'default' && name !== 'module.exports' && !cjs.includes(name)) ?? [];
    if (missing.length > 0) failures.push(`${entry}: only the ESM module has ${missing.join(', ')}`);
  } catch (error) {
    failures.push(`require ${entry}: ${error.message}`);
  }
}

/** Opens a session on one pod, continues it on the other. @returns the pod that answered */
async function acrossPods(sessionStore) {
  const pods = ['first', 'second'].map(name => createMcpHandler(serverFactory(name), { sessionStore }));
  let pod = pods[0];
  const fetch = (url, init) => pod.fetch(new Request(url, init));
  const client = new Client({ name: 'client', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL('http://pods.test/mcp'), { fetch }));
  pod = pods[1];
  const { content } = await client.callTool({ name: 'where' });
  await client.close();
  await Promise.all(pods.map(each => each.close({ drainMs: 0 })));
  return content[0].text;
}

const answers = {};
const attempt = async (name, run) => void (answers[name] = await run().catch(error => error.stack));

await attempt('node-redis', async () => {
  const redis = createClient({ url: REDIS_URL });
  await redis.connect();
  const answer = await acrossPods(new RedisSessionStore({ redis }));
  redis.destroy();
  return answer;
});
await attempt('Postgres', async () => {
  const pool = new pg.Pool({ connectionString: DATABASE_URL });
  await migrate({ pool });
  const answer = await acrossPods(new PostgresSessionStore({ pool }));
  await pool.end();
  return answer;
});
await attempt('files', () => acrossPods(new FileSessionStore({ path: FILES })));
for (const [name, env] of Object.entries({ REDIS_URL: { REDIS_URL }, DATABASE_URL: { DATABASE_URL }, memory: {} })) {
  await attempt(`services ${name}`, async () => {
    const services = await createSessionServices({ env });
    const answer = await acrossPods(services.sessionStore);
    await services.close();
    return answer;
  });
}
console.log(JSON.stringify({ entries: entries.length, failures, answers }));
process.exit(0);
