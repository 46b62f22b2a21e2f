import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import {
  FileSessionStore,
  PostgresEventStore,
  PostgresSessionBus,
  PostgresSessionStore,
  RedisEventStore,
  RedisSessionBus,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import type { Pool } from 'pg';
import { type BusSystem, holdsBusModel } from '../../support/models/busModel.js';
import { holdsLogModel } from '../../support/models/logModel.js';
import { holdsStoreModel, TTL_SECONDS } from '../../support/models/storeModel.js';
import { PostgresPools } from '../../support/servers/postgresPools.js';
import { useRedis } from '../../support/servers/useRedis.js';

const RUNS = 60;

function sequence() {
  const start = randomUUID();
  return { id: (name: string) => `${start}.${name}`, topic: (name: string) => `${start}.${name}`, sessionId: start };
}

describe('Redis holds the model of all backends:', () => {
  const redis = useRedis();
  let clients: [Redis, Redis];
  beforeAll(() => void (clients = [new Redis(redis.server.url), new Redis(redis.server.url)]));
  afterAll(() => clients.forEach(client => client.disconnect()));

  test('the session store', async () => {
    const [first, second] = clients.map(client => new RedisSessionStore({ redis: client, ttlSeconds: TTL_SECONDS }));
    // As Redis removes it: the record may live on.
    const expire = (id: string) => redis.client.del(`mcp:session:{${id}}`);
    await holdsStoreModel(() => ({ stores: [first!, second!], ...sequence(), expire }), RUNS);
  });

  test('the bus', async () => {
    const buses = [...clients, redis.client].map(client => new RedisSessionBus({ redis: client }));
    await holdsBusModel((): BusSystem => ({ buses, deliversEarlier: true, ...sequence() }), RUNS);
    await Promise.all(buses.map(bus => bus.close()));
  });

  test('the event store', async () => {
    const [first, second] = clients.map(client => new RedisEventStore({ redis: client }));
    // Redis makes an id from the time. A stream that is written in the millisecond of its deletion begins again there.
    const peculiarities = { hidesOnlyEvent: true, deletesLate: true, repeatsIdsAfterDelete: true };
    await holdsLogModel(() => ({ logs: [first!, second!], peculiarities, ...sequence() }), RUNS);
  });
});

describe('Postgres holds the model of all backends:', () => {
  let postgres: PostgresPools;
  let pools: Pool[];
  let schema: string;
  beforeAll(async () => {
    postgres = await PostgresPools.start();
    schema = await postgres.schema();
    pools = [postgres.pool(), postgres.pool(), postgres.pool()];
  });
  afterAll(() => postgres.stop());

  test('the session store', async () => {
    const [first, second] = pools.map(pool => new PostgresSessionStore({ pool, schema, ttlSeconds: TTL_SECONDS }));
    const expire = (id: string) =>
      pools[2]!.query(`update ${schema}.mcp_session set expires_at = now() where session_id = $1 and not deleted`, [
        id
      ]);
    await holdsStoreModel(() => ({ stores: [first!, second!], ...sequence(), expire }), RUNS);
  });

  test('the bus', async () => {
    const buses = pools.map(pool => new PostgresSessionBus({ pool, schema }));
    await holdsBusModel((): BusSystem => ({ buses, deliversEarlier: true, ...sequence() }), RUNS / 2);
    await Promise.all(buses.map(bus => bus.close()));
  });

  test('the event store', async () => {
    const [first, second] = pools.map(pool => new PostgresEventStore({ pool, schema }));
    await holdsLogModel(
      () => ({ logs: [first!, second!], peculiarities: { deletesOpenStreams: true }, ...sequence() }),
      RUNS
    );
  });
});

test('files hold the model of all backends: the session store', async () => {
  const path = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'anypod-'));
  const [first, second] = [0, 1].map(() => new FileSessionStore({ path, ttlSeconds: TTL_SECONDS }));
  await holdsStoreModel(() => ({ stores: [first!, second!], ...sequence() }), RUNS);
  await Promise.all([first!.close(), second!.close()]);
  await rm(path, { recursive: true });
});
