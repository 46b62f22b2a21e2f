import { listen } from './listen.js';

/** A port of 127.0.0.1 on which nobody listens, for a server that must be told its port. */
export async function freePort(): Promise<number> {
  const { port, stop } = await listen(() => {});
  await stop();
  return port;
}
