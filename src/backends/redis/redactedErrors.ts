/** The properties that a client library adds to its errors. */
interface CommandError extends Error {
  command?: unknown;
  lastNodeError?: unknown;
}

/** In the error for an unknown command, Redis repeats the arguments. */
const ARGUMENTS = /,? with args beginning with:.*/s;

/**
 * Removes the command from an error, because it must not be logged. ioredis adds the command to its errors, with the
 * session's id and content. Redis repeats the arguments of an unknown command.
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
