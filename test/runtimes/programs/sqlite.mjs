/**
 * `sqlite.mjs <field>`: one process of several on one SQLite database. Makes a session of its own, and writes one field of
 * a session that all share, 50 times. Prints what it found at last as JSON. Before that, it creates databases at the
 * moments at which the other processes create them.
 */
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SqliteStorage, storage } from 'mcp-sdk-anypod/client-sessions';

const [field] = process.argv.slice(2);
const session = (sessionId, identity) => ({
  sessionId,
  identity,
  serverUrl: 'https://mcp.example.com',
  callbackUrl: 'https://app.example.com/callback',
  transportType: 'sse',
  active: true,
  createdAt: Date.now()
});

async function createDatabases() {
  const folder = dirname(process.env.MCP_TS_STORAGE_SQLITE_PATH);
  for (let number = 0; number < 40; number++) {
    await delay(25 - (Date.now() % 25));
    const database = new SqliteStorage({ path: join(folder, `${number}.db`) });
    await database.getSession('ada', 'none');
    await database.disconnect();
  }
}

let result;
try {
  await createDatabases();
  await storage.createSession(session('shared', 'ada')).catch(error => {
    // The other process was faster.
    if (error.code !== 'ANYPOD_SESSION_EXISTS') throw error;
  });
  await storage.createSession(session(field, 'ada'));
  for (let value = 1; value <= 50; value++) {
    await storage.updateSession('ada', 'shared', { [field]: `${value}` });
    const read = await storage.getSession('ada', 'shared');
    if (read?.[field] !== `${value}`) throw new Error(`wrote ${value}, read ${read?.[field]}`);
  }
  await storage.removeSession('ada', field);
  const { serverName, serverId } = await storage.getSession('ada', 'shared');
  result = { serverName, serverId, removed: await storage.getSession('ada', field) };
} catch (error) {
  result = { code: error.code, message: error.message };
}
await storage.disconnect();
console.log(JSON.stringify(result));
