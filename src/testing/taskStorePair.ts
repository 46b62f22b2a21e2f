import type { CreateTaskOptions, Task, TaskStore } from '../tasks/sdkTasks.js';
import { equal, rejectsWith } from './assert.js';

/** The subject of a case. */
export interface TaskStorePair {
  first: TaskStore;
  second: TaskStore;
  elapse: (ms: number) => Promise<void>;
  close?: () => Promise<void>;
}

/** A clock for a backend with real time and for one with its own clock. */
export function clockOf(elapse: (ms: number) => Promise<void>): {
  now: () => number;
  wait: (ms: number) => Promise<void>;
} {
  const startedAt = performance.now();
  let elapsed = 0;
  return {
    now: () => Math.max(performance.now() - startedAt, elapsed),
    wait: async ms => {
      await elapse(ms);
      elapsed += ms;
    }
  };
}

export function create(
  store: TaskStore,
  sessionId: string | undefined,
  options: CreateTaskOptions = {}
): Promise<Task> {
  return store.createTask(options, 1, { method: 'tools/call', params: { name: 'work' } }, sessionId);
}

export async function listAll(store: TaskStore, sessionId: string | undefined): Promise<Task[][]> {
  const pages: Task[][] = [];
  let cursor: string | undefined;
  do {
    const { tasks, nextCursor } = await store.listTasks(cursor, sessionId);
    pages.push(tasks);
    cursor = nextCursor;
  } while (cursor !== undefined);
  return pages;
}

/** Every method behaves as for a task that was never created. */
export async function isMissing(store: TaskStore, taskId: string, sessionId: string | undefined): Promise<void> {
  const notFound = `Task with ID ${taskId} not found`;
  equal(await store.getTask(taskId, sessionId), null, 'a missing task');
  await rejectsWith(store.getTaskResult(taskId, sessionId), notFound);
  await rejectsWith(store.updateTaskStatus(taskId, 'cancelled', 'x', sessionId), notFound);
  await rejectsWith(store.storeTaskResult(taskId, 'completed', {}, sessionId), notFound);
  equal(await store.getTask(taskId, sessionId), null, 'the missing task after that');
}

/** Values that JSON can represent but wrong encodings lose. */
export function oddResult(): Record<string, unknown> {
  return JSON.parse(`{
    "": "empty key", "日本語 🙂": "\\u0000\\ud83d\\ude42\\n\\"", "list": [[], {}, [[]], { "empty": [] }],
    "big": 9007199254740991, "huge": 1.7976931348623157e308, "null": null, "false": false
  }`) as Record<string, unknown>;
}
