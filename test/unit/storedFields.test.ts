import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  encryptSessionStore,
  FileSessionStore,
  InMemorySessionStore,
  InvalidOptionError,
  PostgresSessionStore,
  RedisSessionStore,
  type SessionData
} from 'mcp-sdk-anypod/server';
import { Redis } from 'ioredis';
import { Pool } from 'pg';

const directory = mkdtempSync(join(tmpdir(), 'anypod-'));
// Never connected: a record is checked before the backend is asked.
const pool = new Pool({ connectionString: 'postgres://127.0.0.1:1/none' });
const redis = new Redis({ lazyConnect: true, socketTimeout: 5000, retryStrategy: () => null });
redis.on('error', () => {});
afterAll(async () => {
  redis.disconnect();
  rmSync(directory, { recursive: true });
  await pool.end();
});

const whole = { sessionId: 'a', initialized: true, createdAt: 1, lastActivity: 2 };

describe.each([
  ['InMemorySessionStore', new InMemorySessionStore()],
  ['InMemorySessionStore, encrypted', encryptSessionStore(new InMemorySessionStore(), { keys: [new Uint8Array(32)] })],
  ['FileSessionStore', new FileSessionStore({ path: directory })],
  ['PostgresSessionStore', new PostgresSessionStore({ pool })],
  ['RedisSessionStore', new RedisSessionStore({ redis })]
])('%s', (_, store) => {
  test.each<[string, unknown]>([
    ['data', undefined],
    ['data', null],
    ['data', 'text'],
    ['data.initialized', { toolName: 'x' }],
    ['data.initialized', { ...whole, initialized: 1 }],
    ['data.createdAt', { ...whole, createdAt: undefined }],
    ['data.createdAt', { ...whole, createdAt: NaN }],
    ['data.createdAt', { ...whole, createdAt: '1' }],
    ['data.lastActivity', { ...whole, lastActivity: Infinity }],
    ['data.metadata', { ...whole, metadata: 'text' }],
    ['data.metadata', { ...whole, metadata: [] }]
  ])('storeSession refuses a record with an invalid %s: %j', async (field, data) => {
    const stored = store.storeSession('a', data as SessionData);
    await expect(stored).rejects.toThrow(InvalidOptionError);
    await expect(stored).rejects.toMatchObject({ option: field });
  });
});
