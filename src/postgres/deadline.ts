/** The outcome of a call, or a rejection where it takes longer. The call itself goes on: nothing can take it back. */
export function within<T>(ms: number, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    timer.unref?.();
    call.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
