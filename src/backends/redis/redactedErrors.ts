/** What a client library hangs on its errors. */
interface CommandError extends Error {
  command?: unknown;
  lastNodeError?: unknown;
}

/** Redis repeats the arguments of a command that it does not know. */
const ARGUMENTS = /,? with args beginning with:.*/s;

/**
 * Removes the command from an error: ioredis hangs it on its errors, with the session's id and content, and Redis repeats
 * the arguments of a command that it does not know. None of that belongs in a log.
 */
export function redacted(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('The Redis client failed');
  const shown = error as CommandError;
  delete shown.command;
  if (ARGUMENTS.test(shown.message)) {
    shown.message = shown.message.replace(ARGUMENTS, '');
    shown.stack = shown.stack?.replace(ARGUMENTS, '');
  }
  for (const inner of [shown.cause, shown.lastNodeError]) {
    if (inner instanceof Error && inner !== error) redacted(inner);
  }
  return error;
}
