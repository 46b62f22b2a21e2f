import { Redis } from 'ioredis';
import { PostgresServer } from '../support/servers/postgresServer.js';
import { startRedisServer } from '../support/servers/redisServer.js';

/** What the pods of a cluster test share, and a look into it. */
export interface Backend {
  /** The command line options by which pods find it. */
  readonly flags: readonly string[];
  /** For tests of Redis alone. */
  readonly redisUrl: string;
  /** Whether a host of pod.ts keeps this session. */
  has(host: 'pod' | 'brief' | 'forgetful', sessionId: string | undefined): Promise<boolean>;
  /** Lets a session expire now; false where it is not there. */
  expire(host: 'brief', sessionId: string | undefined): Promise<boolean>;
  /** Lets the event logs of a session's streams expire now. */
  expireLogs(sessionId: string): Promise<void>;
  /** How many things it keeps. */
  size(): Promise<number>;
  stop(): Promise<void>;
}

export type BackendKind = 'redis' | 'postgres';

/** A private one. @param kind - by default what `ANYPOD_BACKEND` names, or else `redis` */
export async function startBackend(kind: string = process.env.ANYPOD_BACKEND ?? 'redis'): Promise<Backend> {
  if (kind === 'redis') return startRedis();
  if (kind === 'postgres') return startPostgres();
  throw new Error(`There is no backend of the kind ${kind}`);
}

async function startRedis(): Promise<Backend> {
  const server = await startRedisServer();
  const redis = new Redis(server.url);
  return {
    flags: ['--redis', server.url],
    redisUrl: server.url,
    has: async (host, sessionId) => (await redis.exists(`${host}:{${sessionId}}`)) === 1,
    expire: async (host, sessionId) => (await redis.del(`${host}:{${sessionId}}`)) === 1,
    async expireLogs(sessionId) {
      const keys = await redis.keys(`*events:${sessionId}:*`);
      if ((await redis.del(keys)) === 0) throw new Error('There is no such log');
    },
    size: () => redis.dbsize(),
    async stop() {
      redis.disconnect();
      await server.stop();
    }
  };
}

async function startPostgres(): Promise<Backend> {
  const server = await PostgresServer.create();
  const row = (host: string, sessionId: string | undefined) =>
    `anypod."${host}" where session_id = '${sessionId}' and not deleted and expires_at > now()`;
  return {
    flags: ['--postgres', server.url],
    get redisUrl(): string {
      throw new Error('This test is of Redis alone');
    },
    has: async (host, sessionId) => (await server.query(`select 1 from ${row(host, sessionId)}`)).length === 1,
    async expire(host, sessionId) {
      const update = row(host, sessionId).replace(' where', ' set expires_at = now() where');
      return (await server.query(`update ${update} returning 1`)).length === 1;
    },
    async expireLogs(sessionId) {
      const update = `update anypod.mcp_event_stream set expires_at = now() where stream_id like '${sessionId}:%'`;
      if ((await server.query(`${update} returning 1`)).length === 0) throw new Error('There is no such log');
    },
    async size() {
      const [found] = await server.query('select count(*)::int as count from anypod.pod');
      return found!.count as number;
    },
    stop: () => server.destroy()
  };
}
