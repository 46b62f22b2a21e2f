/** Writers wait on it until the client has read what it was sent. */
export interface Room {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export function awaitedRoom(): Room {
  let resolve!: () => void;
  const promise = new Promise<void>(done => (resolve = done));
  return { promise, resolve };
}
