import {
  BackendUnavailableError,
  createMemorySessionStore,
  createSessionServices,
  createSessionStore,
  InvalidOptionError,
  isRedisAvailable
} from 'mcp-sdk-anypod/server';

/** Port 1 of this machine: nobody answers there. */
const NOBODY = 'redis://127.0.0.1:1';
const SECRET = 'redis://user:sesame@127.0.0.1:1';

type Env = Record<string, string>;

const log = jest.fn();
beforeEach(() => log.mockReset());
const open = (env: Env, options: object = {}) => createSessionServices({ env, onLog: log, ...options });

describe('sessions are kept in memory', () => {
  test.each<[string, Env, object]>([
    ['preferMemory says so, whatever the environment names', { REDIS_URL: NOBODY }, { preferMemory: true }],
    ['MCP_TS_STORAGE_TYPE says so, in production too', { MCP_TS_STORAGE_TYPE: 'memory', NODE_ENV: 'production' }, {}],
    ['MCP_TS_STORAGE_TYPE says so, whatever else is named', { MCP_TS_STORAGE_TYPE: 'Memory', REDIS_URL: NOBODY }, {}]
  ])('because %s', async (_because, env, options) => {
    const services = await open(env, options);
    expect(services.storage).toBe('memory');
    expect(log).not.toHaveBeenCalled();
    await services.close();
  });

  test.each<[string, Env, object]>([
    ['the Redis of the option does not answer', {}, { redisUrl: NOBODY }],
    ['the Redis of the option does not answer, and variables are empty', { REDIS_URL: '' }, { redisUrl: NOBODY }],
    ['a named Redis does not answer, and fallback asks for it', { REDIS_URL: NOBODY }, { fallback: 'memory' }],
    [
      'production has no Redis, and fallback asks for it',
      { NODE_ENV: 'production' },
      { redisUrl: NOBODY, fallback: 'memory' }
    ]
  ])('with one warning, where %s', async (_where, env, options) => {
    const services = await open(env, options);
    expect(services.storage).toBe('memory');
    expect(log.mock.calls).toEqual([['warn', expect.stringMatching(/redis:\/\/127.0.0.1:1 .*memory of this process/)]]);
    await services.close();
  });

  test('the warning goes to process.emitWarning if there is no onLog', async () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    try {
      await (await createSessionServices({ env: {}, redisUrl: NOBODY })).close();
      expect(emitWarning).toHaveBeenCalledTimes(1);
      expect(emitWarning.mock.calls[0]![0]).toContain('memory');
    } finally {
      emitWarning.mockRestore();
    }
  });
});

test('verbose information goes to standard error, and is not a warning', async () => {
  const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await (await createSessionServices({ env: {}, preferMemory: true, verbose: true })).close();
    expect(emitWarning).not.toHaveBeenCalled();
    expect(write.mock.calls).toEqual([['mcp-sdk-anypod: sessions are kept in memory (preferMemory)\n']]);
  } finally {
    emitWarning.mockRestore();
    write.mockRestore();
  }
});

test('postgresql is another name of the storage type postgres', async () => {
  const DATABASE_URL = 'postgresql://127.0.0.1:1/none';
  await expect(open({ MCP_TS_STORAGE_TYPE: 'PostgreSQL', DATABASE_URL })).rejects.toThrow(
    /No Postgres answers at postgresql:\/\/127.0.0.1:1\/none/
  );
});

describe('opening sessions fails, instead of using memory,', () => {
  test.each<[string, Env, object, RegExp]>([
    [
      'a Redis that the environment names does not answer',
      { REDIS_URL: NOBODY },
      {},
      /No Redis answers.*REDIS_URL requires/
    ],
    [
      'MCP_TS_STORAGE_TYPE names Redis and there is none',
      { MCP_TS_STORAGE_TYPE: 'redis' },
      { redisUrl: NOBODY },
      /MCP_TS_STORAGE_TYPE requires it/
    ],
    ['production has no Redis', { NODE_ENV: 'production' }, { redisUrl: NOBODY }, /NODE_ENV is production.*fallback/]
  ])('if %s', async (_when, env, options, message) => {
    const opened = open(env, options);
    await expect(opened).rejects.toThrow(BackendUnavailableError);
    await expect(opened).rejects.toThrow(message);
    expect(log).not.toHaveBeenCalled();
  });

  test.each<[string, Env]>([
    ['REDIS_URL', { REDIS_URL: 'localhost:6379' }],
    ['REDIS_URL', { MCP_TS_STORAGE_TYPE: 'redis', REDIS_URL: 'https://user:sesame@host' }],
    // A password that a URL cannot have as it is, or that makes another URL of it.
    ['REDIS_URL', { REDIS_URL: 'redis://user:sesame%@127.0.0.1:1' }],
    ['REDIS_URL', { REDIS_URL: 'redis://user:12#sesame@127.0.0.1:1' }],
    ['REDIS_URL', { REDIS_URL: 'redis://user:12?sesame@127.0.0.1:1' }],
    ['REDIS_URL', { REDIS_URL: 'redis://127.0.0.1:1?db=first' }],
    ['REDIS_URL', { REDIS_URL: 'redis://127.0.0.1:1?family=5' }],
    ['keyPrefix', { REDIS_URL: 'redis://127.0.0.1:1?db=1&keyPrefix=app:' }],
    ['DATABASE_URL', { DATABASE_URL: 'postgres://user:sesame%ff@127.0.0.1:1/x' }],
    ['DATABASE_URL', { DATABASE_URL: 'postgres://user:12/sesame@127.0.0.1:1/x' }],
    ['MCP_TS_STORAGE_TYPE', { MCP_TS_STORAGE_TYPE: SECRET }],
    ['DATABASE_URL', { MCP_TS_STORAGE_TYPE: 'postgres' }],
    ['MCP_TS_STORAGE_FILE', { MCP_TS_STORAGE_TYPE: 'file', REDIS_URL: NOBODY }]
  ])('if %s is wrong, and the error names it', async (name, env) => {
    const opened = open(env, { fallback: 'memory' });
    await expect(opened).rejects.toThrow(InvalidOptionError);
    await expect(opened).rejects.toThrow(name);
    await expect(opened).rejects.not.toThrow('sesame');
  });
});

test('no message shows a password', async () => {
  const messages: string[] = [];
  const gather = (error: unknown) =>
    messages.push(`${String(error)} ${JSON.stringify(error)} ${(error as Error).stack}`);
  await open({ REDIS_URL: SECRET }).catch(gather);
  await open({ REDIS_URL: SECRET.replace('redis:', 'http:') }).catch(gather);
  await (await open({}, { redisUrl: SECRET })).close();
  expect(messages).toHaveLength(2);
  expect(log).toHaveBeenCalledTimes(1);
  expect(JSON.stringify([messages, log.mock.calls])).not.toContain('sesame');
});

test('isRedisAvailable is false if nobody answers, and throws only if the URL is not one of a Redis', async () => {
  expect(await isRedisAvailable(NOBODY)).toBe(false);
  expect(await isRedisAvailable(SECRET, { timeoutMs: 3000 })).toBe(false);
  await expect(isRedisAvailable(NOBODY, null as never)).rejects.toThrow(InvalidOptionError);
  await expect(isRedisAvailable(null as never)).rejects.toThrow(InvalidOptionError);
  for (const url of ['ftp://user:sesame@host', 'redis://user:sesame%@host']) {
    await expect(isRedisAvailable(url)).rejects.toThrow(InvalidOptionError);
    await expect(isRedisAvailable(url)).rejects.not.toThrow('sesame');
  }
});

test.each<[string, object]>([
  ['redisUrl', { redisUrl: 1 }],
  ['prefix', { prefix: 1 }],
  ['defaultTtl', { defaultTtl: 1.5 }],
  ['lockTimeout', { lockTimeout: 0 }],
  ['connectTimeout', { connectTimeout: 'soon' }],
  ['fallback', { fallback: 'redis' }],
  ['preferMemory', { preferMemory: 'false' }],
  ['verbose', { verbose: 1 }],
  ['onLog', { onLog: true }],
  ['env', { env: 'production' }]
])('refuses a bad %s by its name', async (name, options) => {
  await expect(createSessionStore(options)).rejects.toThrow(InvalidOptionError);
  await expect(createSessionStore(options)).rejects.toThrow(name);
});

test('the options reach the store and the locks', async () => {
  const store = await createSessionStore({ preferMemory: true, defaultTtl: 7, lockTimeout: 9 });
  expect(store).toMatchObject({ ttlSeconds: 7, lockTimeoutMs: 9, storage: 'memory' });
  await store.close();
  await store.close();
  expect(createMemorySessionStore({ defaultTtl: 8 })).toMatchObject({ ttlSeconds: 8, lockTimeoutMs: 30_000 });
  expect((await createSessionStore({ preferMemory: true })).ttlSeconds).toBe(3600);
});
