import { randomUUID } from 'node:crypto';
import type {
  CreateTaskOptions,
  QueuedMessage,
  TaskMessageQueue,
  TaskStore
} from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import type { Task } from 'mcp-sdk-upstream/types.js';

/** What the contract runs on: each as two pods would have it. The two may be one object, where it keeps all in memory. */
export interface TwoTaskBackends {
  readonly stores: readonly [TaskStore, TaskStore];
  readonly queues: readonly [TaskMessageQueue, TaskMessageQueue];
  /** Lets so much time pass. */
  readonly elapse: (ms: number) => Promise<void>;
  close(): Promise<void>;
}

type Case = (backends: TwoTaskBackends) => Promise<void>;

const TERMINAL = ['completed', 'failed', 'cancelled'] as const;

const cases = {
  async 'a task begins as working, with an id of its own and what was asked for'({ stores: [first, second] }) {
    const sessionId = randomUUID();
    const before = Date.now();
    const task = await create(first, sessionId, { ttl: 60_000, pollInterval: 50 });
    expect(task).toEqual({
      taskId: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      status: 'working',
      ttl: 60_000,
      pollInterval: 50,
      createdAt: task.lastUpdatedAt,
      lastUpdatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string
    });
    expect(Date.parse(task.createdAt)).toBeGreaterThanOrEqual(before);
    expect(await second.getTask(task.taskId, sessionId)).toEqual(task);
    const other = await create(second, sessionId);
    expect(other.taskId).not.toBe(task.taskId);
    expect(other).toMatchObject({ ttl: null, pollInterval: 1000 });
  },

  async 'a time to live of 0 or null is told as it is'({ stores: [first, second] }) {
    for (const ttl of [0, null]) {
      const { taskId } = await create(first, 's', { ttl });
      expect((await second.getTask(taskId, 's'))?.ttl).toBe(ttl);
    }
  },

  async 'a status is seen on the other side, and its message stays until there is another'({
    stores: [first, second]
  }) {
    const { taskId, createdAt } = await create(first, 's');
    const states = [
      ['input_required', 'ask "ü"'],
      ['working', undefined],
      ['working', ''],
      ['failed', 'no more']
    ] as const;
    const seen = [];
    for (const [status, message] of states) {
      await first.updateTaskStatus(taskId, status, message, 's');
      const task = (await second.getTask(taskId, 's'))!;
      expect(task.createdAt).toBe(createdAt);
      seen.push([task.status, task.statusMessage]);
    }
    expect(seen).toEqual([
      ['input_required', 'ask "ü"'],
      ['working', 'ask "ü"'],
      ['working', 'ask "ü"'],
      ['failed', 'no more']
    ]);
  },

  async 'lastUpdatedAt moves with every change'({ stores: [first, second], elapse }) {
    const { taskId, lastUpdatedAt } = await create(first, 's');
    await elapse(5);
    await first.updateTaskStatus(taskId, 'input_required', undefined, 's');
    const asked = (await second.getTask(taskId, 's'))!.lastUpdatedAt;
    expect(Date.parse(asked)).toBeGreaterThan(Date.parse(lastUpdatedAt));
    await elapse(5);
    await second.storeTaskResult(taskId, 'completed', {}, 's');
    expect(Date.parse((await first.getTask(taskId, 's'))!.lastUpdatedAt)).toBeGreaterThan(Date.parse(asked));
  },

  async 'a result comes back as it was stored'({ stores: [first, second] }) {
    const results = [{}, { content: [] }, oddResult()];
    for (const [i, result] of results.entries()) {
      const status = i % 2 ? 'failed' : 'completed';
      const { taskId } = await create(first, 's');
      await expect(second.getTaskResult(taskId, 's')).rejects.toThrow(`Task ${taskId} has no result stored`);
      await first.storeTaskResult(taskId, status, result, 's');
      expect(await second.getTaskResult(taskId, 's')).toEqual(result);
      expect((await second.getTask(taskId, 's'))?.status).toBe(status);
    }
  },

  async 'a task that has ended changes no more'({ stores: [first, second] }) {
    for (const status of TERMINAL) {
      const { taskId } = await create(first, 's');
      await first.updateTaskStatus(taskId, status, 'over', 's');
      const ended = await second.getTask(taskId, 's');
      for (const next of ['working', 'input_required', ...TERMINAL] as const) {
        await expect(second.updateTaskStatus(taskId, next, 'again', 's')).rejects.toThrow(
          `Cannot update task ${taskId} from terminal status '${status}' to '${next}'. ` +
            'Terminal states (completed, failed, cancelled) cannot transition to other states.'
        );
      }
      await expect(second.storeTaskResult(taskId, 'completed', {}, 's')).rejects.toThrow(
        `Cannot store result for task ${taskId} in terminal status '${status}'. Task results can only be stored once.`
      );
      expect(await first.getTask(taskId, 's')).toEqual(ended);
      await expect(second.getTaskResult(taskId, 's')).rejects.toThrow('has no result stored');
    }
  },

  async 'of two that end a task at once one wins, and its result is the one'({ stores: [first, second] }) {
    for (let round = 0; round < 10; round++) {
      const { taskId } = await create(first, 's');
      const outcomes = await Promise.allSettled([
        first.storeTaskResult(taskId, 'completed', { by: 0 }, 's'),
        second.storeTaskResult(taskId, 'failed', { by: 1 }, 's'),
        first.updateTaskStatus(taskId, 'cancelled', undefined, 's'),
        second.storeTaskResult(taskId, 'completed', { by: 3 }, 's')
      ]);
      const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? i : []));
      expect(winners).toHaveLength(1);
      const status = (await second.getTask(taskId, 's'))?.status;
      expect(status).toBe(['completed', 'failed', 'cancelled', 'completed'][winners[0]!]);
      if (winners[0] !== 2) expect(await first.getTaskResult(taskId, 's')).toEqual({ by: winners[0] });
    }
  },

  async 'a task that was never there is not found'({ stores: [store] }) {
    for (const taskId of ['', 'x', '0'.repeat(32), '*', '{}', '__proto__', 'ü'.repeat(1000)])
      await notThere(store, taskId, 's');
  },

  async 'a task of one session is not there for another, and nothing that another does reaches it'({
    stores: [first, second]
  }) {
    const [mine, other] = [randomUUID(), randomUUID()];
    const task = await create(first, mine);
    await create(first, other);
    await notThere(second, task.taskId, other);
    expect((await second.listTasks(undefined, other)).tasks.map(({ taskId }) => taskId)).not.toContain(task.taskId);
    await expect(second.listTasks(task.taskId, other)).rejects.toThrow(`Invalid cursor: ${task.taskId}`);
    expect(await first.getTask(task.taskId, mine)).toEqual(task);
    await first.storeTaskResult(task.taskId, 'completed', { secret: true }, mine);
    await notThere(second, task.taskId, other);
  },

  async 'sessions with odd ids are kept apart'({ stores: [first, second] }) {
    const run = randomUUID();
    const sessionIds = ['{}', '{', '}', '%', '%25', 'a', 'a:tasks', '{a}:task', '*', ':'].map(odd => odd + run);
    const tasks = [];
    for (const sessionId of sessionIds) tasks.push(await create(first, sessionId));
    for (const [i, sessionId] of sessionIds.entries()) {
      expect(await second.listTasks(undefined, sessionId)).toEqual({ tasks: [tasks[i]], nextCursor: undefined });
    }
  },

  async 'tasks are listed in the order of creation, ten at a time, whatever becomes of them'({ stores }) {
    const sessionId = randomUUID();
    const created: string[] = [];
    for (let i = 0; i < 25; i++) created.push((await create(stores[i % 2]!, sessionId)).taskId);
    await stores[0].storeTaskResult(created[0]!, 'completed', {}, sessionId);
    await stores[1].updateTaskStatus(created[24]!, 'input_required', 'why', sessionId);
    const pages = await listAll(stores[1], sessionId);
    expect(pages.map(page => page.length)).toEqual([10, 10, 5]);
    expect(pages.flat().map(({ taskId }) => taskId)).toEqual(created);
    expect(pages.flat()[0]).toEqual(await stores[0].getTask(created[0]!, sessionId));
    expect(pages.flat()[24]).toMatchObject({ status: 'input_required', statusMessage: 'why' });
  },

  async 'a list that ends with a full page has no cursor, and an empty one has neither'({ stores: [store] }) {
    const sessionId = randomUUID();
    expect(await store.listTasks(undefined, sessionId)).toEqual({ tasks: [], nextCursor: undefined });
    for (let i = 0; i < 10; i++) await create(store, sessionId);
    const page = await store.listTasks('', sessionId);
    expect([page.tasks.length, page.nextCursor]).toEqual([10, undefined]);
  },

  async 'a cursor stays where it is when tasks are added'({ stores: [first, second] }) {
    const sessionId = randomUUID();
    const created: string[] = [];
    for (let i = 0; i < 12; i++) created.push((await create(first, sessionId)).taskId);
    const { nextCursor } = await first.listTasks(undefined, sessionId);
    for (let i = 0; i < 3; i++) created.push((await create(second, sessionId)).taskId);
    const page = await second.listTasks(nextCursor, sessionId);
    expect(page.tasks.map(({ taskId }) => taskId)).toEqual(created.slice(10));
    expect(await second.listTasks(created.at(-1), sessionId)).toEqual({ tasks: [], nextCursor: undefined });
  },

  async 'an unknown cursor is an error that names it'({ stores: [store] }) {
    const sessionId = randomUUID();
    await create(store, sessionId);
    for (const cursor of ['x', '0', '-1', '0'.repeat(32), 'ü%']) {
      await expect(store.listTasks(cursor, sessionId)).rejects.toThrow(`Invalid cursor: ${cursor}`);
    }
  },

  async 'tasks that are created at once are all listed, once'({ stores }) {
    const sessionId = randomUUID();
    const created = await Promise.all(Array.from({ length: 30 }, (_, i) => create(stores[i % 2]!, sessionId)));
    const listed = (await listAll(stores[0], sessionId)).flat().map(({ taskId }) => taskId);
    expect(listed.toSorted()).toEqual(created.map(({ taskId }) => taskId).toSorted());
  },

  async 'a task lives for its time to live, and anew from its end, whichever it is'({
    stores: [first, second],
    elapse
  }) {
    const sessionId = randomUUID();
    const tasks: Task[] = [];
    const began = performance.now();
    for (const ttl of [600, 600, 600, 600, 60_000]) tasks.push(await create(first, sessionId, { ttl }));
    const [idle, completed, cancelled, asked, long] = tasks.map(({ taskId }) => taskId);
    await elapse(300);
    const ended = performance.now();
    await second.storeTaskResult(completed!, 'completed', { late: true }, sessionId);
    await second.updateTaskStatus(cancelled!, 'cancelled', undefined, sessionId);
    await elapse(150);
    // A change that is no end prolongs nothing: this one would outlive those above.
    await second.updateTaskStatus(asked!, 'input_required', undefined, sessionId);

    const looks: { at: number; there: string[] }[] = [];
    do {
      await elapse(5);
      const there = (await second.listTasks(undefined, sessionId)).tasks.map(({ taskId }) => taskId);
      looks.push({ at: performance.now(), there });
    } while (looks.at(-1)!.there.length > 1);
    expect(looks.at(-1)!.there).toEqual([long]);
    const goneAt = (taskId?: string) => looks.find(({ there }) => !there.includes(taskId!))!.at;
    // To the clock's millisecond.
    for (const taskId of [idle, asked]) expect(goneAt(taskId) - began).toBeGreaterThan(598);
    for (const taskId of [completed, cancelled]) {
      expect(goneAt(taskId) - ended).toBeGreaterThan(598);
      expect(goneAt(asked)).toBeLessThanOrEqual(goneAt(taskId));
    }
    for (const taskId of [idle, completed, cancelled, asked]) {
      await notThere(first, taskId!, sessionId);
      await expect(first.listTasks(taskId, sessionId)).rejects.toThrow(`Invalid cursor: ${taskId}`);
    }
    expect(await first.getTask(long!, sessionId)).not.toBeNull();
  },

  async 'without sessions every call is as within one'({ stores: [first, second] }) {
    const task = await create(first, undefined);
    expect(await second.getTask(task.taskId)).toEqual(task);
    await second.updateTaskStatus(task.taskId, 'input_required', 'ask');
    await first.storeTaskResult(task.taskId, 'completed', { ok: true });
    expect(await second.getTaskResult(task.taskId)).toEqual({ ok: true });
    const tasks = (await listAll(second, undefined)).flat();
    expect(tasks.find(({ taskId }) => taskId === task.taskId)).toMatchObject({ status: 'completed' });
  },

  async 'a call without a session id finds no task of a session'({ stores: [first, second] }) {
    await notThere(second, (await create(first, randomUUID())).taskId, undefined);
  },

  async 'a task without a session is no task of every session'({ stores: [first, second] }) {
    await notThere(second, (await create(first, undefined)).taskId, randomUUID());
  },

  async 'queued messages come out in the order in which they were put in, as they were'({ queues }) {
    const taskId = randomUUID();
    const messages = [request(0), notification('ü"\u0000'), request('text id'), response(1), failure(2), request(0)];
    for (const [i, message] of messages.entries()) await queues[i % 2]!.enqueue(taskId, message, 's');
    const taken = [];
    for (let i = 0; i < messages.length; i++) taken.push(await queues[(i + 1) % 2]!.dequeue(taskId, 's'));
    expect(taken).toEqual(messages);
    expect(await queues[0].dequeue(taskId, 's')).toBeUndefined();
  },

  async 'each message is given to one of those that ask'({ queues }) {
    const taskId = randomUUID();
    for (let i = 0; i < 20; i++) await queues[0].enqueue(taskId, notification(i), 's');
    const taken = await Promise.all(Array.from({ length: 30 }, (_, i) => queues[i % 2]!.dequeue(taskId, 's')));
    const told = taken.map(message => message?.type === 'notification' && message.message.params?.data);
    const numbers = told.filter(data => typeof data === 'number');
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  },

  async 'dequeueAll takes everything that is there, in order, and leaves an empty queue'({ queues: [first, second] }) {
    const taskId = randomUUID();
    expect(await first.dequeueAll(taskId, 's')).toEqual([]);
    const messages = [notification(1), request(7), response(3)];
    for (const message of messages) await first.enqueue(taskId, message, 's');
    expect(await second.dequeueAll(taskId, 's')).toEqual(messages);
    expect(await first.dequeue(taskId, 's')).toBeUndefined();
    expect(await first.dequeueAll(taskId, 's')).toEqual([]);
  },

  async 'a queue takes so many messages and refuses more'({ queues: [first, second] }) {
    const taskId = randomUUID();
    const overflow = (size: number, maxSize: number) =>
      `Task message queue overflow: queue size (${size}) exceeds maximum (${maxSize})`;
    await expect(first.enqueue(taskId, notification(0), 's', 0)).rejects.toThrow(overflow(0, 0));
    await first.enqueue(taskId, notification(1), 's', 2);
    await second.enqueue(taskId, notification(2), 's', 2);
    await expect(first.enqueue(taskId, notification(3), 's', 2)).rejects.toThrow(overflow(2, 2));
    await first.enqueue(taskId, notification(4), 's');
    await expect(second.enqueue(taskId, notification(5), 's', 2)).rejects.toThrow(overflow(3, 2));
    await second.dequeue(taskId, 's');
    await second.dequeue(taskId, 's');
    await first.enqueue(taskId, notification(6), 's', 2);
    expect(await second.dequeueAll(taskId, 's')).toEqual([notification(4), notification(6)]);
  },

  async 'two that put in at once do not overfill a queue'({ queues }) {
    const taskId = randomUUID();
    const attempts = Array.from({ length: 20 }, (_, i) => queues[i % 2]!.enqueue(taskId, notification(i), 's', 5));
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    expect(await queues[0].dequeueAll(taskId, 's')).toHaveLength(5);
  },

  async 'queues of tasks are kept apart, and without sessions all is as within one'({ queues: [first, second] }) {
    const [one, other] = [randomUUID(), randomUUID()];
    await first.enqueue(one, notification(1));
    await first.enqueue(other, notification(2));
    expect(await second.dequeueAll(one)).toEqual([notification(1)]);
    expect(await second.dequeue(other)).toEqual(notification(2));
  },

  async 'a queue of one session is empty for another'({ queues: [first, second] }) {
    const taskId = randomUUID();
    await first.enqueue(taskId, notification('secret'), 'mine');
    expect(await second.dequeue(taskId, 'other')).toBeUndefined();
    expect(await second.dequeueAll(taskId, 'other')).toEqual([]);
    await second.enqueue(taskId, notification('planted'), 'other');
    expect(await first.dequeueAll(taskId, 'mine')).toEqual([notification('secret')]);
  }
} satisfies Record<string, Case>;

/**
 * Runs the contract on a task store and a message queue.
 * @param gaps - the cases that this backend cannot pass, each with the reason in words. They must fail: a gap that
 *   has closed is to be taken off the list.
 */
export function taskStoreContract(
  name: string,
  make: () => Promise<TwoTaskBackends>,
  { gaps = {} }: { gaps?: Partial<Record<keyof typeof cases, string>> } = {}
): void {
  describe(`${name}: the contract of task stores and their message queues`, () => {
    let backends: TwoTaskBackends;
    beforeAll(async () => void (backends = await make()));
    afterAll(() => backends.close());

    for (const [title, run] of Object.entries(cases)) {
      const reason = gaps[title as keyof typeof cases];
      if (reason === undefined) test(title, () => run(backends));
      else test(`gap, ${reason}: ${title}`, () => expect(run(backends)).rejects.toThrow());
    }
  });
}

function create(store: TaskStore, sessionId: string | undefined, options: CreateTaskOptions = {}): Promise<Task> {
  return store.createTask(options, 1, { method: 'tools/call', params: { name: 'work' } }, sessionId);
}

async function listAll(store: TaskStore, sessionId: string | undefined): Promise<Task[][]> {
  const pages: Task[][] = [];
  let cursor: string | undefined;
  do {
    const { tasks, nextCursor } = await store.listTasks(cursor, sessionId);
    pages.push(tasks);
    cursor = nextCursor;
  } while (cursor !== undefined);
  return pages;
}

/** As for a task that never was. */
async function notThere(store: TaskStore, taskId: string, sessionId: string | undefined): Promise<void> {
  const notFound = `Task with ID ${taskId} not found`;
  expect(await store.getTask(taskId, sessionId)).toBeNull();
  await expect(store.getTaskResult(taskId, sessionId)).rejects.toThrow(notFound);
  await expect(store.updateTaskStatus(taskId, 'cancelled', 'x', sessionId)).rejects.toThrow(notFound);
  await expect(store.storeTaskResult(taskId, 'completed', {}, sessionId)).rejects.toThrow(notFound);
  expect(await store.getTask(taskId, sessionId)).toBeNull();
}

function request(id: string | number): QueuedMessage {
  const params = { message: 'ü', requestedSchema: { type: 'object', properties: {} } };
  return { type: 'request', timestamp: 1, message: { jsonrpc: '2.0', id, method: 'elicitation/create', params } };
}

function notification(data: unknown): QueuedMessage {
  const message = { jsonrpc: '2.0' as const, method: 'notifications/message', params: { level: 'info', data } };
  return { type: 'notification', timestamp: 2, message };
}

function response(id: number): QueuedMessage {
  return { type: 'response', timestamp: 3, message: { jsonrpc: '2.0', id, result: { list: [], empty: {} } } };
}

function failure(id: number): QueuedMessage {
  return { type: 'error', timestamp: 4, message: { jsonrpc: '2.0', id, error: { code: -1, message: 'x', data: [] } } };
}

/** What JSON carries and careless encodings lose. */
function oddResult(): Record<string, unknown> {
  return JSON.parse(`{
    "": "empty key", "日本語 🙂": "\\u0000\\ud83d\\ude42\\n\\"", "list": [[], {}, [[]], { "empty": [] }],
    "big": 9007199254740991, "huge": 1.7976931348623157e308, "null": null, "false": false
  }`) as Record<string, unknown>;
}
