import { InMemorySessionStore, InvalidOptionError } from 'mcp-sdk-anypod/server';
import {
  RedisInfoSessionManager,
  RedisStreamSessionManager,
  RedisSubscriptionManager,
  SharedInfoSessionManager,
  SharedStreamSessionManager,
  SharedSubscriptionManager
} from 'mcp-sdk-anypod/tmcp';
import { until } from '../support/until.js';

/** Port 1 of this machine: nobody answers there. */
const NOBODY = 'redis://127.0.0.1:1';

/** A stream, and what its client has read. */
function stream(read = true) {
  const chunks: string[] = [];
  const opened = { controller: undefined as never as ReadableStreamDefaultController, chunks, isClosed: false };
  const readable = new ReadableStream<Uint8Array>({ start: controller => void (opened.controller = controller) });
  void (async () => {
    const reader = readable.getReader();
    while (read) {
      const { value, done } = await reader.read();
      if (done) break;
      chunks.push(new TextDecoder().decode(value));
    }
    opened.isClosed = read;
  })();
  return opened;
}

const twoStreamManagers = () => {
  const backend = { sessionStore: new InMemorySessionStore() };
  return [new SharedStreamSessionManager(backend), new SharedStreamSessionManager(backend)] as const;
};

test('a message reaches the stream on the other pod, and one without sessions reaches all streams', async () => {
  const [first, second] = twoStreamManagers();
  const [a, b] = [stream(), stream()];
  await first.create('a', a.controller);
  await second.create('b b', b.controller);
  await second.send(['a', 'unknown'], 'for a');
  await second.send(undefined, 'for all');
  await until('they have arrived', () => a.chunks.length === 2 && b.chunks.length === 1);
  expect([a.chunks, b.chunks]).toEqual([['for a', 'for all'], ['for all']]);
  expect([await first.has('b b'), await second.has('a'), await second.has('c')]).toEqual([true, true, false]);
  await first.delete('b b');
  await until('it is closed', () => b.isClosed);
  await until('it is gone', async () => !(await first.has('b b')));
  await first.close();
  await until('the others are closed', () => a.isClosed);
});

test('a second stream of a session closes the first, on the same pod and on another', async () => {
  const [first, second] = twoStreamManagers();
  const streams = [stream(), stream(), stream()] as const;
  await first.create('a', streams[0].controller);
  await first.create('a', streams[1].controller);
  await second.create('a', streams[2].controller);
  await until('both are closed', () => streams[0].isClosed && streams[1].isClosed);
  await first.send(['a'], 'x');
  await until('the third gets it', () => streams[2].chunks.length === 1);
  await second.close();
});

test('a stream whose client reads nothing is closed, and reported', async () => {
  const onerror = jest.fn();
  const manager = new SharedStreamSessionManager({ sessionStore: new InMemorySessionStore() }, { onerror });
  await manager.create('a', stream(false).controller);
  for (let i = 0; i < 10_010; i++) void manager.send(['a'], 'x');
  expect(onerror.mock.calls).toEqual([[expect.objectContaining({ code: 'ANYPOD_SLOW_CLIENT' })]]);
  await until('it is closed', async () => !(await manager.has('a')));
});

test('a failing call that tmcp does not await is reported and does not reject; one that it awaits rejects', async () => {
  const onerror = jest.fn();
  const options = { onerror };
  const info = new RedisInfoSessionManager(NOBODY, options);
  const streams = new RedisStreamSessionManager(NOBODY, options);
  await info.setClientInfo('a', { name: 'a', version: '1' });
  await info.setLogLevel('a', 'debug');
  await info.addSubscription('a', 'x://y');
  expect(await info.getSubscriptions('x://y')).toEqual([]);
  await streams.send(['a'], 'x');
  await streams.send(undefined, 'x');
  expect(onerror.mock.calls.length).toBeGreaterThanOrEqual(6);
  for (const [error] of onerror.mock.calls) expect(error).toMatchObject({ code: 'ANYPOD_BACKEND_UNAVAILABLE' });
  await expect(streams.has('a')).rejects.toThrow(/No Redis answers/);
  await expect(streams.delete('a')).rejects.toThrow(/No Redis answers/);
  await expect(info.delete('a')).rejects.toThrow(/No Redis answers/);
  await Promise.all([info.close(), streams.close()]);
});

test('information about a client is read after earlier writes, awaited or not', async () => {
  const backend = { sessionStore: new InMemorySessionStore() };
  const [first, second] = [new SharedInfoSessionManager(backend), new SharedInfoSessionManager(backend)];
  void first.setClientCapabilities('a', { roots: {} });
  void first.setClientInfo('a', { name: 'ada', version: '1' });
  void first.setLogLevel('a', 'error');
  expect(await first.getClientInfo('a')).toEqual({ name: 'ada', version: '1' });
  expect(await first.getLogLevel('a')).toBe('error');
  expect(await second.getClientCapabilities('a')).toEqual({ roots: {} });
  await Promise.all([first.addSubscription('a', 'x://y'), second.addSubscription('ü', 'x://y')]);
  expect((await first.getSubscriptions('x://y')).sort()).toEqual(['a', 'ü']);
  await second.removeSubscription('a', 'x://y');
  expect(await first.getSubscriptions('x://y')).toEqual(['ü']);
  await first.delete('a');
  await expect(second.getClientInfo('a')).rejects.toMatchObject({ code: 'ANYPOD_SESSION_NOT_FOUND' });
  // Too late: it must not bring the session back.
  await second.setLogLevel('a', 'debug');
  await expect(second.getLogLevel('a')).rejects.toThrow();
  await Promise.all([first.close(), second.close()]);
});

test('a subscription gets its notifications in order and after it is acknowledged, from every pod', async () => {
  const backend = { sessionStore: new InMemorySessionStore() };
  const [first, second] = [new SharedSubscriptionManager(backend), new SharedSubscriptionManager(backend)];
  const heard: unknown[] = [];
  let acknowledge: (() => void) | undefined;
  const callbacks = {
    acknowledge: () => new Promise<void>(resolve => (acknowledge = resolve)),
    send: (notification: object) => void heard.push(notification),
    close: (reason: string) => void heard.push(reason)
  };
  const filters = { toolsListChanged: true, resourceSubscriptions: ['x://y'] };
  const created = first.create({ id: 1, origin: 'o', filters }, callbacks);
  await until('it is asked to acknowledge', () => acknowledge !== undefined);
  const updated = (uri: string) => ({ method: 'notifications/resources/updated', params: { uri } });
  await first.send({ method: 'notifications/tools/list_changed' });
  await second.send(updated('x://y'));
  await second.send(updated('x://z'));
  await second.send({ method: 'notifications/prompts/list_changed' });
  await new Promise(resolve => setImmediate(resolve));
  expect(heard).toEqual([]);
  acknowledge!();
  expect(await created).toBe(true);
  expect(await first.create({ id: 1, origin: 'o', filters }, callbacks)).toBe(false);
  expect(await first.close('1', 'o', 'closed')).toBe(false);
  await first.closeAll('o');
  expect(heard).toEqual([{ method: 'notifications/tools/list_changed' }, updated('x://y'), 'cancelled']);
  await expect(
    first.create(
      { id: 2, origin: 'o', filters },
      { ...callbacks, acknowledge: () => Promise.reject(new Error('gone')) }
    )
  ).rejects.toThrow('gone');
});

test.each<[string, () => unknown]>([
  ['redisUrl', () => new RedisStreamSessionManager('http://user:sesame@host')],
  ['redisUrl', () => new RedisInfoSessionManager('localhost:6379')],
  ['backend', () => new RedisSubscriptionManager(undefined as never)],
  ['sessionStore', () => new SharedInfoSessionManager({})],
  ['sessionBus', () => new SharedSubscriptionManager({ sessionStore: {} as never })],
  ['prefix', () => new RedisInfoSessionManager(NOBODY, { prefix: 1 as never })],
  ['ttlSeconds', () => new RedisInfoSessionManager(NOBODY, { ttlSeconds: 0 })],
  ['onerror', () => new RedisInfoSessionManager(NOBODY, { onerror: true as never })]
])('a wrong %s is refused by its name', (option, create) => {
  let error: unknown;
  try {
    create();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect(error).toMatchObject({ option, message: expect.not.stringContaining('sesame') as string });
});
