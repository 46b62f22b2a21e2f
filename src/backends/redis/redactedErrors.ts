/** What Redis answers, or its error as it may be shown. */
export async function answerOf<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw withoutCommand(error as Error);
  }
}

/** ioredis hangs the command on its errors, with the session's id and what it says: nothing that belongs in a log. */
export function withoutCommand(error: Error & { command?: unknown }): Error {
  delete error.command;
  return error;
}
