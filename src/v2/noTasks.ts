/*
 * Version 2 of the SDK has no tasks. The build of `mcp-server-anypod` puts this in the place of src/services/openTasks.ts.
 */

/** The parts of a backend that keep tasks: none. */
export type TaskParts = object;

export async function memoryTasks(): Promise<{ close(): Promise<void> }> {
  return { close: async () => undefined };
}

export function redisTasks(): TaskParts {
  return {};
}

export function postgresTasks(): TaskParts {
  return {};
}
