/**
 * Runs the contract suites of mcp-server-anypod/testing on the stores of the package: every one that the backend has a store for. Where
 * pods share the backend, the first pod has the ESM build and the second one the CommonJS build. Prints the passed and the
 * failed cases of each suite as JSON. Usage: node serverContracts.mjs memory | file | redis <url> | node-redis <url> | postgres <url>
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { Redis } from 'ioredis';
import pg from 'pg';
import { createClient } from 'redis';
import * as esm from 'mcp-server-anypod';
import * as contracts from 'mcp-server-anypod/testing';

const cjs = createRequire(import.meta.url)('mcp-server-anypod');
const [backend, url] = process.argv.slice(2);
const stores = { memory: 'InMemory', file: 'File', redis: 'Redis', 'node-redis': 'Redis', postgres: 'Postgres' }[
  backend
];
/** Both clients may use one Redis at the same time, and sessions of a principal are listed. */
const keyPrefix = `${backend}:`;
const client = {
  memory: () => ({ options: {} }),
  file: () => ({ options: {} }),
  redis() {
    const redis = new Redis(url);
    return { options: { redis, keyPrefix }, close: () => redis.disconnect() };
  },
  async 'node-redis'() {
    const redis = await createClient({ url }).connect();
    return { options: { redis, keyPrefix }, close: () => redis.close() };
  },
  postgres() {
    const pool = new pg.Pool({ connectionString: url });
    return { options: { pool }, close: () => pool.end() };
  }
}[backend];

/** Two instances of a class of the package, each with a client of its own. */
const twoOf = kind => async limits => {
  const clients = backend === 'memory' ? [client()] : [await client(), await client()];
  const path = backend === 'file' ? await mkdtemp(join(tmpdir(), 'anypod-contract-')) : undefined;
  const where = path && { path };
  const made = clients.map(
    ({ options }, pod) => new (pod === 0 ? esm : cjs)[stores + kind]({ ...options, ...where, ...limits })
  );
  const close = async () => {
    if (kind === 'SessionBus' || path) for (const each of made) await each.close?.();
    for (const { close } of clients) await close?.();
    if (path) await rm(path, { recursive: true });
  };
  return { first: made[0], second: made.at(-1), close };
};

const eventMethods = ['getStreamIdForEventId', 'latestEventId', 'storeLastEvent', 'startEventId', 'deleteStreams'];
const subjects = {
  sessionStoreContract: {
    makeTwo: twoOf('SessionStore'),
    optionalMethods: [
      'touchSession',
      ...(backend === 'memory' || backend === 'file' ? [] : ['refreshSessions']),
      'getSessionOwner',
      'patchSession',
      'listSessionIds'
    ]
  },
  sessionStateContract: { makeTwo: twoOf('SessionStore') },
  lockContract: { makeTwo: twoOf('SessionStore') },
  principalContract: { makeTwo: twoOf('SessionStore') },
  sessionBusContract: { makeTwo: twoOf('SessionBus') },
  eventStoreContract: {
    makeTwo: twoOf('EventStore'),
    optionalMethods: [...eventMethods, ...(stores === 'Redis' ? ['storeOnlyEvent'] : [])]
  }
};

if (backend === 'postgres') {
  const { options, close } = client();
  await esm.migrate(options);
  await close();
}
/** Runs the cases of a suite, one after the other. */
async function outcomeOf(name, contract) {
  const cases = [];
  const runner = { describe: (_title, body) => body(), it: (title, run) => cases.push({ title, run }) };
  contract({ ...runner, name: stores, ...subjects[name] });
  const failed = [];
  for (const { title, run } of cases) await run().catch(error => failed.push(`${title}: ${error.message}`));
  return { passed: cases.length - failed.length, failed };
}

// Files hold sessions and no messages between pods.
const suites = Object.entries(contracts).filter(
  ([name]) => backend !== 'file' || !/^(eventStore|sessionBus)/.test(name)
);
// Most of the time they wait for something to expire.
const outcomes = await Promise.all(suites.map(async ([name, contract]) => [name, await outcomeOf(name, contract)]));
console.log(JSON.stringify(Object.fromEntries(outcomes)));
