import { type Pod, startPods } from '../support/pods/process.js';
import { PostgresServer } from '../support/servers/postgresServer.js';
import { connect, whoAmIByTurns } from '../support/clients/sdkClient.js';

describe('examples/custom-store.ts', () => {
  let postgres: PostgresServer;
  let pods: Pod[] = [];

  beforeAll(async () => {
    postgres = await PostgresServer.create();
    pods = await startPods(2, 'examples/custom-store.ts', [], { env: { PORT: '0', DATABASE_URL: postgres.url } });
  });

  afterAll(async () => {
    await Promise.all(pods.map(pod => pod.stop()));
    await postgres?.destroy();
  });

  test('every pod serves the session and knows its client', async () => {
    expect(await whoAmIByTurns(pods)).toEqual(new Set(pods.map(pod => `Ada on pod ${pod.pid}`)));
  });

  test('a session that is deleted on one pod is gone on the other', async () => {
    const { client, elsewhere, close } = await openSession();
    await client.delete();
    await expect(elsewhere.call('whoami')).rejects.toMatchObject({ code: 404 });
    expect(await postgres.query(`select 1 from mcp_session where session_id = '${client.sessionId}'`)).toEqual([]);
    await close();
  });

  test('an expired session is missing although its row still exists', async () => {
    const { client, elsewhere, close } = await openSession();
    const row = `mcp_session where session_id = '${client.sessionId}'`;
    await postgres.query(`update ${row.replace('where', "set last_activity = now() - interval '61 minutes' where")}`);
    await expect(elsewhere.call('whoami')).rejects.toMatchObject({ code: 404 });
    await expect(client.call('whoami')).rejects.toMatchObject({ code: 404 });
    expect(await postgres.query(`select 1 from ${row}`)).toHaveLength(1);
    await close();
  });

  test('a session id is never read as SQL', async () => {
    const { client, close } = await openSession();
    const hostile = await connect(pods[0]!.origin, "x';drop/**/table/**/mcp_session;--");
    await expect(hostile.call('whoami')).rejects.toMatchObject({ code: 404 });
    expect(await client.call('whoami')).toContain('Ada');
    await Promise.all([close(), hostile.close()]);
  });

  test('clients get 503 while the database is down, and their sessions go on afterwards', async () => {
    const { client, close } = await openSession();
    await postgres.stop();
    await expect(client.call('whoami')).rejects.toMatchObject({ code: 503 });
    await postgres.start();
    expect(await client.call('whoami')).toContain('Ada');
    await close();
  });

  /** A session that began on the first pod, and has been served by the second as well. */
  async function openSession() {
    const client = await connect(pods[0]!.origin);
    const elsewhere = await connect(pods[1]!.origin, client.sessionId);
    await elsewhere.call('whoami');
    return { client, elsewhere, close: () => Promise.all([client.close(), elsewhere.close()]) };
  }
});
