import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { PostgresTaskMessageQueue, PostgresTaskStore, type PostgresTaskStoreOptions } from 'mcp-sdk-anypod/server';
import { taskMessageQueueContract, taskStoreContract } from 'mcp-sdk-anypod/testing';
import type { QueuedMessage } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import { PostgresPools } from '../../support/servers/postgresPools.js';
import { until } from '../../support/until.js';
import { replaceTimers } from '../../../src/timers.js';

let postgres: PostgresPools;
beforeAll(async () => void (postgres = await PostgresPools.start()));
afterAll(() => postgres.stop());

let options: readonly [PostgresTaskStoreOptions, PostgresTaskStoreOptions];
beforeAll(async () => {
  const schema = await postgres.schema();
  options = [
    { pool: postgres.pool(), schema },
    { pool: postgres.pool(), schema }
  ];
});

taskStoreContract({
  describe,
  it,
  name: 'Postgres',
  makeTwo: async () => ({ first: new PostgresTaskStore(options[0]), second: new PostgresTaskStore(options[1]) })
});
taskMessageQueueContract({
  describe,
  it,
  name: 'Postgres',
  makeTwo: async () => ({
    first: new PostgresTaskMessageQueue(options[0]),
    second: new PostgresTaskMessageQueue(options[1])
  })
});

const note = (data: unknown): QueuedMessage => ({
  type: 'notification',
  timestamp: 0,
  message: { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } }
});
const call = { method: 'tools/call', params: { name: 'secret' } };

test('messages queued without waiting are dequeued in order', async () => {
  const queue = new PostgresTaskMessageQueue({ pool: postgres.pool(), schema: await postgres.schema() });
  const taskId = randomUUID();
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => queue.enqueue(taskId, note(i), 's', i % 2 ? 1000 : undefined))
  );
  expect(await queue.dequeueAll(taskId, 's')).toEqual(Array.from({ length: 100 }, (_, i) => note(i)));
});

test('odd ids and texts are kept as they are', async () => {
  const options = { pool: postgres.pool(), schema: await postgres.schema() };
  const [store, queue] = [new PostgresTaskStore(options), new PostgresTaskMessageQueue(options)];
  for (const odd of ["'", '\u0000', '\ud83d', '🙂', '\\']) {
    const { taskId } = await store.createTask({}, 1, call, odd);
    await store.updateTaskStatus(taskId, 'input_required', odd, odd);
    expect((await store.listTasks(undefined, odd)).tasks).toMatchObject([{ taskId, statusMessage: odd }]);
    expect(await store.getTask(odd, odd)).toBeNull();
    await queue.enqueue(odd, note(odd), odd);
    expect(await queue.dequeue(odd, odd)).toEqual(note(odd));
  }
});

test('expired tasks are missing, and their rows are removed by later calls', async () => {
  const schema = await postgres.schema();
  const pool = postgres.pool();
  const store = new PostgresTaskStore({ pool, schema });
  const queue = new PostgresTaskMessageQueue({ pool, schema, ttlMs: 1 });
  const { taskId } = await store.createTask({ ttl: 1 }, 1, call, 's');
  await queue.enqueue(taskId, note(1), 's');
  await delay(5);
  expect(await store.getTask(taskId, 's')).toBeNull();
  expect(await queue.dequeue(taskId, 's')).toBeUndefined();
  const later = performance.now() + 120_000;
  const restoreTimers = replaceTimers({ performance: { now: () => later } });
  try {
    await store.createTask({}, 1, call, 's');
    await queue.enqueue('another', note(2), 's');
    const rowsOf = async (table: string) =>
      (await pool.query(`select 1 from "${schema}".${table} where task_id = $1`, [taskId])).rowCount;
    await until('the task is gone', async () => (await rowsOf('mcp_task')) === 0);
    await until('its message is gone', async () => (await rowsOf('mcp_task_message')) === 0);
  } finally {
    restoreTimers();
  }
});

test('emptying a queue, for which the SDK does not wait, never rejects', async () => {
  const onLog = jest.fn();
  const pool = postgres.pool({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' });
  const queue = new PostgresTaskMessageQueue({ pool, onLog });
  await expect(queue.dequeue('task', 's')).rejects.toThrow('check the host and port');
  expect(await queue.dequeueAll('task', 's')).toEqual([]);
  expect(onLog).toHaveBeenCalledWith('warn', expect.stringContaining('could not be removed'));
});
