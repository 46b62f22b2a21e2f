/**
 * Uses the entries with the names of other libraries, through the ESM and the CommonJS build, without any database, and
 * prints as JSON what they return: `node names.mjs <name>`.
 */
import { createRequire } from 'node:module';

const name = process.argv[2];
const require = createRequire(import.meta.url);
const found = [];
for (const load of [path => import(path), async path => require(path)]) {
  const { createMemorySessionStore } = await load(`${name}/session-store`);
  const values = createMemorySessionStore({ prefix: 'dev:' });
  await values.setSession('a', { data: 'test' });
  const { MemoryStorageBackend } = await load(`${name}/client-sessions`);
  const storage = new MemoryStorageBackend();
  await storage.createSession({ sessionId: 's', identity: 'user-123', serverUrl: 'https://mcp.example.com' });
  const { RedisInfoSessionManager } = await load(`${name}/tmcp`);
  const { InMemorySessionStore } = await load(`${name}/server`);
  const info = new RedisInfoSessionManager({ sessionStore: new InMemorySessionStore() });
  await info.setClientInfo('a', { name: 'ada', version: '1' });
  found.push({
    value: await values.getSession('a'),
    sessions: (await storage.getIdentitySessionsData('user-123')).map(({ sessionId }) => sessionId),
    client: (await info.getClientInfo('a')).name
  });
}
console.log(JSON.stringify(found));
