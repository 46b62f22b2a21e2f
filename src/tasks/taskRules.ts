import type { CreateTaskOptions, Task } from './sdkTasks.js';
import { Date } from '../timers.js';

/*
 * Rules that all task stores share. Defaults and error texts are those of the SDK's store in memory, because the SDK's
 * server sends them to clients.
 */

export const DEFAULT_MAX_TTL_MS = 86_400_000;
const DEFAULT_POLL_INTERVAL_MS = 1000;

/** The fields of a task that never change. */
export type FixedFields = Pick<Task, 'ttl' | 'createdAt' | 'pollInterval'>;

/** A new task. */
export interface NewTask {
  readonly task: Task;
  readonly fixed: FixedFields;
  /** How long it is kept: from now, and again from its end. */
  readonly lifetimeMs: number;
}

/** @param maxTtlMs - the maximum lifetime. It also applies to a task without a limit (`ttl` is null or 0) */
export function newTask({ ttl, pollInterval }: CreateTaskOptions, maxTtlMs: number): NewTask {
  const taskId = globalThis.crypto.randomUUID().replaceAll('-', '');
  const createdAt = new Date().toISOString();
  const fixed: FixedFields = {
    ttl: typeof ttl === 'number' ? Math.min(ttl, maxTtlMs) : null,
    createdAt,
    pollInterval: pollInterval ?? DEFAULT_POLL_INTERVAL_MS
  };
  const lifetimeMs = fixed.ttl ? Math.max(1, Math.ceil(fixed.ttl)) : maxTtlMs;
  return { task: { taskId, status: 'working', ...fixed, lastUpdatedAt: createdAt }, fixed, lifetimeMs };
}

/** Whether a task with this status has ended. */
export function isTerminal(status: Task['status']): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

export function taskNotFound(taskId: string): Error {
  return new Error(`Task with ID ${taskId} not found`);
}

export function noResult(taskId: string): Error {
  return new Error(`Task ${taskId} has no result stored`);
}

export function resultRefused(taskId: string, ended: string): Error {
  return new Error(
    `Cannot store result for task ${taskId} in terminal status '${ended}'. Task results can only be stored once.`
  );
}

export function statusRefused(taskId: string, ended: string, status: string): Error {
  return new Error(
    `Cannot update task ${taskId} from terminal status '${ended}' to '${status}'. ` +
      'Terminal states (completed, failed, cancelled) cannot transition to other states.'
  );
}
