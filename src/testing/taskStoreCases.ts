import { randomUUID } from 'node:crypto';
import type { Task } from '../tasks/sdkTasks.js';
import { equal, isTrue, rejectsWith } from './assert.js';
import type { Cases } from './contract.js';
import { clockOf, create, isMissing, listAll, oddResult, type TaskStorePair } from './taskStorePair.js';

const TERMINAL = ['completed', 'failed', 'cancelled'] as const;
const PAGE_SIZE = 10;
/** Long enough for the steps that must fit into it on a slow machine. */
const TTL_MS = 1500;

export const statusCases = {
  async 'a new task is working, with its own id and the requested times'({ first, second }) {
    const sessionId = randomUUID();
    const before = Date.now();
    const task = await create(first, sessionId, { ttl: 60_000, pollInterval: 50 });
    const { taskId, createdAt } = task;
    const requested = { status: 'working', ttl: 60_000, pollInterval: 50 };
    equal(task, { ...requested, taskId, createdAt, lastUpdatedAt: createdAt }, 'the new task');
    isTrue(/^\d{4}-\d\d-\d\dT.*Z$/.test(createdAt) && Date.parse(createdAt) >= before, 'createdAt is the present time');
    equal(await second.getTask(taskId, sessionId), task, 'the task on the other pod');
    const other = await create(second, sessionId);
    isTrue(other.taskId.length > 0 && other.taskId !== taskId, 'each task has its own id');
    equal([other.ttl, other.pollInterval], [null, 1000], 'the default times');
  },

  async 'a task keeps a time to live of 0 or null'({ first, second }) {
    for (const ttl of [0, null]) {
      const { taskId } = await create(first, 's', { ttl });
      equal((await second.getTask(taskId, 's'))?.ttl, ttl, 'the time to live');
    }
  },

  async 'other pods see each new status; a status message stays until another one is set'({ first, second }) {
    const { taskId, createdAt } = await create(first, 's');
    const changes = [
      ['input_required', 'ask "ü"', 'ask "ü"'],
      ['working', undefined, 'ask "ü"'],
      ['working', '', 'ask "ü"'],
      ['failed', 'no more', 'no more']
    ] as const;
    for (const [status, message, expected] of changes) {
      await first.updateTaskStatus(taskId, status, message, 's');
      const task = await second.getTask(taskId, 's');
      equal([task?.status, task?.statusMessage, task?.createdAt], [status, expected, createdAt], 'the changed task');
    }
  },

  async 'each change of a task changes lastUpdatedAt'({ first, second, elapse }) {
    const { taskId, lastUpdatedAt } = await create(first, 's');
    const times = [lastUpdatedAt];
    await elapse(5);
    await first.updateTaskStatus(taskId, 'input_required', undefined, 's');
    times.push((await second.getTask(taskId, 's'))!.lastUpdatedAt);
    await elapse(5);
    await second.storeTaskResult(taskId, 'completed', {}, 's');
    times.push((await first.getTask(taskId, 's'))!.lastUpdatedAt);
    equal(new Set(times).size, 3, 'the number of different times');
    equal(times, times.toSorted(), 'the times');
  },

  async 'a result is returned unchanged'({ first, second }) {
    for (const [i, result] of [{}, { content: [] }, oddResult()].entries()) {
      const status = i % 2 ? 'failed' : 'completed';
      const { taskId } = await create(first, 's');
      await rejectsWith(second.getTaskResult(taskId, 's'), `Task ${taskId} has no result stored`);
      await first.storeTaskResult(taskId, status, result, 's');
      equal(await second.getTaskResult(taskId, 's'), result, 'the result');
      equal((await second.getTask(taskId, 's'))?.status, status, 'the status');
    }
  },

  async 'a task that has ended cannot be changed'({ first, second }) {
    for (const status of TERMINAL) {
      const { taskId } = await create(first, 's');
      await first.updateTaskStatus(taskId, status, 'over', 's');
      const ended = await second.getTask(taskId, 's');
      for (const next of ['working', 'input_required', ...TERMINAL] as const) {
        await rejectsWith(
          second.updateTaskStatus(taskId, next, 'again', 's'),
          `Cannot update task ${taskId} from terminal status '${status}' to '${next}'. ` +
            'Terminal states (completed, failed, cancelled) cannot transition to other states.'
        );
      }
      await rejectsWith(
        second.storeTaskResult(taskId, 'completed', {}, 's'),
        `Cannot store result for task ${taskId} in terminal status '${status}'. Task results can only be stored once.`
      );
      equal(await first.getTask(taskId, 's'), ended, 'the task');
      await rejectsWith(second.getTaskResult(taskId, 's'), 'has no result stored');
    }
  },

  async 'if several calls end a task at the same time, one succeeds and its result is kept'({ first, second }) {
    for (let round = 0; round < 10; round++) {
      const { taskId } = await create(first, 's');
      const outcomes = await Promise.allSettled([
        first.storeTaskResult(taskId, 'completed', { by: 0 }, 's'),
        second.storeTaskResult(taskId, 'failed', { by: 1 }, 's'),
        first.updateTaskStatus(taskId, 'cancelled', undefined, 's'),
        second.storeTaskResult(taskId, 'completed', { by: 3 }, 's')
      ]);
      const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? i : []));
      equal(winners.length, 1, 'the number of successful calls');
      const status = (await second.getTask(taskId, 's'))?.status;
      equal(status, ['completed', 'failed', 'cancelled', 'completed'][winners[0]!], 'the status');
      if (winners[0] !== 2) equal(await first.getTaskResult(taskId, 's'), { by: winners[0] }, 'the result');
    }
  }
} satisfies Cases<TaskStorePair>;

export const sessionCases = {
  async 'a task that was never created is missing'({ first }) {
    for (const taskId of ['', 'x', '0'.repeat(32), '*', '{}', '__proto__', 'ü'.repeat(1000)])
      await isMissing(first, taskId, 's');
  },

  async 'the task of one session is missing for another session, which cannot change it'({ first, second }) {
    const [mine, other] = [randomUUID(), randomUUID()];
    const task = await create(first, mine);
    await create(first, other);
    await isMissing(second, task.taskId, other);
    const listed = (await second.listTasks(undefined, other)).tasks.map(({ taskId }) => taskId);
    isTrue(!listed.includes(task.taskId), 'another session does not list the task');
    await rejectsWith(second.listTasks(task.taskId, other), `Invalid cursor: ${task.taskId}`);
    equal(await first.getTask(task.taskId, mine), task, 'the task');
    await first.storeTaskResult(task.taskId, 'completed', { secret: true }, mine);
    await isMissing(second, task.taskId, other);
  },

  async 'the tasks of sessions with unusual ids are kept apart'({ first, second }) {
    const run = randomUUID();
    const sessionIds = ['{}', '{', '}', '%', '%25', 'a', 'a:tasks', '{a}:task', '*', ':'].map(odd => odd + run);
    const tasks: Task[] = [];
    for (const sessionId of sessionIds) tasks.push(await create(first, sessionId));
    for (const [i, sessionId] of sessionIds.entries())
      equal(await second.listTasks(undefined, sessionId), { tasks: [tasks[i]] }, 'the tasks of a session');
  },

  async 'without session ids, all methods work in the same way'({ first, second }) {
    const task = await create(first, undefined);
    equal(await second.getTask(task.taskId), task, 'the task');
    await second.updateTaskStatus(task.taskId, 'input_required', 'ask');
    await first.storeTaskResult(task.taskId, 'completed', { ok: true });
    equal(await second.getTaskResult(task.taskId), { ok: true }, 'the result');
    const listed = (await listAll(second, undefined)).flat().find(({ taskId }) => taskId === task.taskId);
    equal(listed?.status, 'completed', 'the status in the list');
  },

  async 'a call without a session id does not find the task of a session'({ first, second }) {
    await isMissing(second, (await create(first, randomUUID())).taskId, undefined);
  },

  async 'a call with a session id does not find a task without a session'({ first, second }) {
    await isMissing(second, (await create(first, undefined)).taskId, randomUUID());
  }
} satisfies Cases<TaskStorePair>;

export const listingCases = {
  async 'tasks are listed in the order of their creation, ten on a page, whatever their status'({ first, second }) {
    const sessionId = randomUUID();
    const created: string[] = [];
    for (let i = 0; i < 25; i++) created.push((await create(i % 2 ? second : first, sessionId)).taskId);
    await first.storeTaskResult(created[0]!, 'completed', {}, sessionId);
    await second.updateTaskStatus(created[24]!, 'input_required', 'why', sessionId);
    const pages = await listAll(second, sessionId);
    equal(
      pages.map(page => page.length),
      [PAGE_SIZE, PAGE_SIZE, 5],
      'the sizes of the pages'
    );
    const listed = pages.flat();
    equal(
      listed.map(({ taskId }) => taskId),
      created,
      'the listed ids'
    );
    equal(listed[0], await first.getTask(created[0]!, sessionId), 'the first task');
    equal([listed[24]?.status, listed[24]?.statusMessage], ['input_required', 'why'], 'the status of the last task');
  },

  async 'an empty list and a list that ends with a full page have no cursor'({ first }) {
    const sessionId = randomUUID();
    equal(await first.listTasks(undefined, sessionId), { tasks: [] }, 'the empty list');
    for (let i = 0; i < PAGE_SIZE; i++) await create(first, sessionId);
    const page = await first.listTasks('', sessionId);
    equal([page.tasks.length, page.nextCursor], [PAGE_SIZE, undefined], 'the full page');
  },

  async 'a cursor stays valid when tasks are added'({ first, second }) {
    const sessionId = randomUUID();
    const created: string[] = [];
    for (let i = 0; i < 12; i++) created.push((await create(first, sessionId)).taskId);
    const { nextCursor } = await first.listTasks(undefined, sessionId);
    for (let i = 0; i < 3; i++) created.push((await create(second, sessionId)).taskId);
    const page = await second.listTasks(nextCursor, sessionId);
    equal(
      page.tasks.map(({ taskId }) => taskId),
      created.slice(PAGE_SIZE),
      'the second page'
    );
    equal(await second.listTasks(created.at(-1), sessionId), { tasks: [] }, 'the page after the last task');
  },

  async 'a list with an unknown cursor fails with an error that names the cursor'({ first }) {
    const sessionId = randomUUID();
    await create(first, sessionId);
    for (const cursor of ['x', '0', '-1', '0'.repeat(32), 'ü%'])
      await rejectsWith(first.listTasks(cursor, sessionId), `Invalid cursor: ${cursor}`);
  },

  async 'tasks that are created at the same time are each listed once'({ first, second }) {
    const sessionId = randomUUID();
    const creations = Array.from({ length: 30 }, (_, i) => create(i % 2 ? second : first, sessionId));
    const created = (await Promise.all(creations)).map(({ taskId }) => taskId);
    const listed = (await listAll(first, sessionId)).flat().map(({ taskId }) => taskId);
    equal(listed.toSorted(), created.toSorted(), 'the listed ids');
  }
} satisfies Cases<TaskStorePair>;

export const lifeCases = {
  async 'a task is kept for its time to live, and for that time again after it has ended'({ first, second, elapse }) {
    const sessionId = randomUUID();
    const { now, wait } = clockOf(elapse);
    const began = now();
    const ids: string[] = [];
    for (const ttl of [TTL_MS, TTL_MS, TTL_MS, TTL_MS, 60_000])
      ids.push((await create(first, sessionId, { ttl })).taskId);
    const [idle, completed, cancelled, asked, long] = ids as [string, string, string, string, string];
    await wait(300);
    const ended = now();
    await second.storeTaskResult(completed, 'completed', { late: true }, sessionId);
    await second.updateTaskStatus(cancelled, 'cancelled', undefined, sessionId);
    await wait(150);
    // Only an end restarts the time to live. If this did, the task would be kept longer than the two that ended.
    await second.updateTaskStatus(asked, 'input_required', undefined, sessionId);

    const looks: { at: number; listed: string[] }[] = [];
    do {
      await wait(5);
      const listed = (await second.listTasks(undefined, sessionId)).tasks.map(({ taskId }) => taskId);
      looks.push({ at: now(), listed });
    } while (looks.at(-1)!.listed.length > 1);
    equal(looks.at(-1)!.listed, [long], 'the task that is left');
    const goneAt = (taskId: string): number => looks.find(({ listed }) => !listed.includes(taskId))!.at;
    // Clocks of milliseconds may differ by two.
    for (const taskId of [idle, asked])
      isTrue(goneAt(taskId) - began > TTL_MS - 2, 'a task is kept for its time to live');
    for (const taskId of [completed, cancelled]) {
      isTrue(goneAt(taskId) - ended > TTL_MS - 2, 'a task is kept for its time to live after its end');
      isTrue(goneAt(asked) <= goneAt(taskId), 'a change that does not end a task does not restart its time to live');
    }
    for (const taskId of [idle, completed, cancelled, asked]) {
      await isMissing(first, taskId, sessionId);
      await rejectsWith(first.listTasks(taskId, sessionId), `Invalid cursor: ${taskId}`);
    }
    isTrue(await first.getTask(long, sessionId), 'the task with the long time to live is kept');
  }
} satisfies Cases<TaskStorePair>;
