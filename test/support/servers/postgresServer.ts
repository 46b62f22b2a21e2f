import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { makeCertificates } from './certificates.js';
import { freePort } from './freePort.js';
import { until } from '../until.js';

/** A private PostgreSQL on 127.0.0.1, in a folder of its own. */
export class PostgresServer {
  readonly url: string;
  readonly #folder: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  /** Makes an empty database and serves it; resolves when it answers. */
  static async create(): Promise<PostgresServer> {
    const folder = await ownFolder();
    const auth = ['--username', 'postgres', '--auth', 'trust'];
    execFileSync('initdb', ['--pgdata', folder, '--no-sync', ...auth], { ...account(), cwd: folder, stdio: 'pipe' });
    const server = new PostgresServer(folder, await freePort());
    await server.start();
    return server;
  }

  /** Makes a copy that follows this server, and takes no writes. */
  async replica(): Promise<PostgresServer> {
    const folder = await ownFolder();
    const args = ['--dbname', this.url, '--pgdata', folder, '--write-recovery-conf', '--checkpoint=fast', '--no-sync'];
    execFileSync('pg_basebackup', args, { ...account(), cwd: folder, stdio: 'pipe' });
    const server = new PostgresServer(folder, await freePort());
    await server.start();
    return server;
  }

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  }

  async start(): Promise<void> {
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'];
    const args = ['-D', this.#folder, '-p', String(this.#port), ...settings.flatMap(setting => ['-c', setting])];
    this.#child = spawn('postgres', args, { ...account(), cwd: this.#folder, stdio: 'ignore' });
    await until('PostgreSQL answers', () =>
      this.query('select 1').then(
        () => true,
        () => false
      )
    );
  }

  /** Its data stays. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    // A fast shutdown: it does not wait for its clients.
    child.kill('SIGINT');
    await exited;
  }

  async destroy(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true });
  }

  /** From now on this role is asked for its password. */
  async requirePassword(role: string): Promise<void> {
    await this.#admit(`host all ${role} 127.0.0.1/32 scram-sha-256`);
  }

  /** From now on this role must encrypt its connections. */
  async requireTls(role: string): Promise<void> {
    await this.#admit(`hostssl all ${role} 127.0.0.1/32 trust\nhost all ${role} 127.0.0.1/32 reject`);
  }

  /** Has it speak TLS as 127.0.0.1. @returns the file of the certificate authority */
  async enableTls(): Promise<string> {
    await makeCertificates(this.#folder);
    await Promise.all(['redis.crt', 'redis.key'].map(name => giveAway(join(this.#folder, name))));
    const settings = { ssl_cert_file: 'redis.crt', ssl_key_file: 'redis.key', ssl: 'on' };
    for (const [name, value] of Object.entries(settings)) await this.query(`alter system set ${name} = '${value}'`);
    await this.query('select pg_reload_conf()');
    return join(this.#folder, 'ca.crt');
  }

  async #admit(lines: string): Promise<void> {
    const file = join(this.#folder, 'pg_hba.conf');
    await writeFile(file, `${lines}\n${await readFile(file, 'utf8')}`);
    await this.query('select pg_reload_conf()');
  }

  login(user: string, password: string) {
    return { host: '127.0.0.1', port: this.#port, database: 'postgres', user, password };
  }

  async query(text: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }
}

async function ownFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'anypod-postgres-'));
  await giveAway(folder);
  return folder;
}

async function giveAway(path: string): Promise<void> {
  const { uid, gid } = account();
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

/** The account of PostgreSQL and PgBouncer, which refuse to run as root. */
export function account(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres']));
  return { uid: idOf('-u'), gid: idOf('-g') };
}
