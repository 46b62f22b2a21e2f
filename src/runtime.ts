/*
 * The few facts about runtimes that cannot be detected by a feature. Read at each use, because bundles are built for several
 * runtimes.
 */

/** Bun sends the head of a response with its first bytes, and ends a connection that carries none for 10 seconds. */
export function isBun(): boolean {
  return 'Bun' in globalThis;
}

/** Deno prints a notice when a program reads the signal of a request, because it aborts after every response. */
export function isDeno(): boolean {
  return 'Deno' in globalThis;
}

/** What is used of Node's `process`. In Next's edge runtime, all its functions throw. */
interface NodeProcess {
  getBuiltinModule?: (name: string) => unknown;
  emitWarning?: (message: string, options: { type: string; code?: string }) => void;
}

function withProcess<T>(use: (process: NodeProcess) => T | undefined): T | undefined {
  try {
    return use((globalThis as { process?: NodeProcess }).process ?? {});
  } catch {
    return undefined;
  }
}

/** A module of Node; undefined if the runtime does not have it. An import of `node:` would fail in other runtimes. */
export function builtInModule<T>(name: string): T | undefined {
  return withProcess(process => process.getBuiltinModule?.(name) as T | undefined);
}

/** A process warning, if the runtime has them. */
export function processWarning(message: string, options: { type: string; code?: string }): void {
  withProcess(process => process.emitWarning?.(message, options));
}
