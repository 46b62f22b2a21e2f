import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Which bytes a fault is about: those of the clients, those of the server, or both. */
export type Way = 'both' | 'fromClients' | 'fromServer';

/** A network that misbehaves on request, in front of one port of 127.0.0.1. */
export interface TcpProxy {
  readonly port: number;
  /** How long every answer is held up from now on, in milliseconds. */
  delay(ms: number): void;
  /** Drops the connection of the next answer, of which only so many bytes arrive. */
  cutWithin(bytes: number): void;
  /**
   * From now on no byte passes on the connections that are open, and nothing is reset: as after a node lost power. New
   * connections work.
   * @param way - the bytes to stop
   */
  blackhole(way?: Way): void;
  /**
   * From now on no byte passes on any connection, open or new, and nothing is reset; with `restore` all that was held
   * goes on: as with a network that is cut in two and heals.
   * @param way - as for `blackhole`
   */
  hold(way?: Way): void;
  /** Drops every connection, and each new one, until `restore`. */
  cut(): void;
  /** Ends `cut` and `hold`. */
  restore(): void;
  stop(): Promise<void>;
}

export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let delayMs = 0;
  let isCut = false;
  let heldWay: Way | undefined;
  /** What waits for `restore`, in the order in which it came. */
  const heldBack: (() => void)[] = [];
  const isHeld = (way: Way): boolean => heldWay === 'both' || heldWay === way;
  const links = new Set<{ fromClient: boolean; fromServer: boolean }>();
  let bytesToCutAfter: number | undefined;
  const server = createServer(socket => {
    if (isCut) {
      socket.destroy();
      return;
    }
    const onward = connect(target, '127.0.0.1');
    const link = { fromClient: true, fromServer: true };
    links.add(link);
    socket.on('close', () => links.delete(link));
    for (const [from, to] of [
      [socket, onward],
      [onward, socket]
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    socket.on('data', chunk => {
      if (!link.fromClient) return;
      const pass = () => void (onward.destroyed || onward.write(chunk));
      if (isHeld('fromClients')) heldBack.push(pass);
      else pass();
    });
    const held: Buffer[] = [];
    onward.on('data', (chunk: Buffer) => {
      if (!link.fromServer) return;
      if (isHeld('fromServer')) {
        heldBack.push(() => void (socket.destroyed || socket.write(chunk)));
        return;
      }
      if (bytesToCutAfter !== undefined) {
        socket.end(chunk.subarray(0, bytesToCutAfter));
        bytesToCutAfter = undefined;
        return;
      }
      if (delayMs === 0 && held.length === 0) {
        socket.write(chunk);
        return;
      }
      held.push(chunk);
      // Whichever timer fires first, what came first goes on first.
      setTimeout(() => {
        const next = held.shift()!;
        if (!socket.destroyed) socket.write(next);
      }, delayMs);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dropAll = () => sockets.forEach(socket => socket.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    delay: ms => void (delayMs = ms),
    cutWithin: bytes => void (bytesToCutAfter = bytes),
    blackhole(way = 'both') {
      for (const link of links) {
        if (way !== 'fromServer') link.fromClient = false;
        if (way !== 'fromClients') link.fromServer = false;
      }
    },
    hold: (way = 'both') => void (heldWay = way),
    cut() {
      isCut = true;
      dropAll();
    },
    restore() {
      isCut = false;
      heldWay = undefined;
      for (const pass of heldBack.splice(0)) pass();
    },
    async stop() {
      const closed = once(server, 'close');
      server.close();
      dropAll();
      await closed;
    }
  };
}
