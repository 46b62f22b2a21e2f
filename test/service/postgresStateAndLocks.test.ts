import { setTimeout as delay } from 'node:timers/promises';
import { PostgresSessionStore } from 'mcp-sdk-anypod/server';
import type { Pool } from 'pg';
import { lockContract } from '../../src/testing/lockContract.js';
import { principalContract } from '../../src/testing/principalContract.js';
import { sessionStateContract } from '../../src/testing/sessionStateContract.js';
import type { MakeStorePair } from '../../src/testing/storePair.js';
import { PostgresPools } from '../support/postgresPools.js';

let postgres: PostgresPools;
let schema: string;
let pools: [Pool, Pool];
beforeAll(async () => {
  postgres = await PostgresPools.start();
  schema = await postgres.schema();
  pools = [postgres.pool(), postgres.pool()];
});
afterAll(() => postgres.stop());

const makePair: MakeStorePair = async ({ ttlSeconds }) => ({
  first: new PostgresSessionStore({ pool: pools[0], schema, ttlSeconds }),
  second: new PostgresSessionStore({ pool: pools[1], schema, ttlSeconds }),
  elapse: delay,
  close: async () => {}
});

lockContract({ describe, it }, 'PostgresSessionStore', makePair);
sessionStateContract({ describe, it }, 'PostgresSessionStore', makePair);
principalContract({ describe, it }, 'PostgresSessionStore', makePair);
