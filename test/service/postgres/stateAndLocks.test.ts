import { setTimeout as delay } from 'node:timers/promises';
import { PostgresSessionStore } from 'mcp-sdk-anypod/server';
import {
  lockContract,
  principalContract,
  sessionStateContract,
  type StoreContractOptions
} from 'mcp-sdk-anypod/testing';
import type { Pool } from 'pg';
import { PostgresPools } from '../../support/servers/postgresPools.js';

let postgres: PostgresPools;
let schema: string;
let pools: [Pool, Pool];
beforeAll(async () => {
  postgres = await PostgresPools.start();
  schema = await postgres.schema();
  pools = [postgres.pool(), postgres.pool()];
});
afterAll(() => postgres.stop());

const makeTwo: StoreContractOptions['makeTwo'] = async ({ ttlSeconds }) => ({
  first: new PostgresSessionStore({ pool: pools[0], schema, ttlSeconds }),
  second: new PostgresSessionStore({ pool: pools[1], schema, ttlSeconds }),
  elapse: delay,
  close: async () => {}
});

lockContract({ describe, it: test.concurrent, name: 'PostgresSessionStore', makeTwo });
sessionStateContract({ describe, it: test.concurrent, name: 'PostgresSessionStore', makeTwo });
principalContract({ describe, it: test.concurrent, name: 'PostgresSessionStore', makeTwo });
