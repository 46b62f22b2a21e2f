import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { until } from '../until.js';
import { freePort } from './freePort.js';
import { account } from './postgresServer.js';

/** A private PgBouncer on 127.0.0.1, in front of a Postgres. */
export interface PgBouncer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Resolves when a query through it is answered. */
export async function startPgBouncer(postgresUrl: string, poolMode: 'session' | 'transaction'): Promise<PgBouncer> {
  const folder = await mkdtemp(join(tmpdir(), 'pgbouncer-'));
  await chmod(folder, 0o755);
  const port = await freePort();
  const { hostname, port: upstream, username } = new URL(postgresUrl);
  const lines = [
    '[databases]',
    `postgres = host=${hostname} port=${upstream} user=${username}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    `pool_mode = ${poolMode}`
  ];
  await writeFile(join(folder, 'pgbouncer.ini'), `${lines.join('\n')}\n`);
  const child = spawn('pgbouncer', [join(folder, 'pgbouncer.ini')], { ...account(), cwd: folder, stdio: 'ignore' });
  const exited = once(child, 'exit');
  const url = `postgres://${username}@127.0.0.1:${port}/postgres`;
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true });
  };
  try {
    await until('PgBouncer answers', () => answers(url));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString });
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
