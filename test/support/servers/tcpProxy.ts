import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

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
   * @param way - the bytes to stop: those of the clients, those of the server, or both
   */
  blackhole(way?: 'both' | 'fromClients' | 'fromServer'): void;
  /** Drops every connection, and each new one, until `restore`. */
  cut(): void;
  restore(): void;
  stop(): Promise<void>;
}

export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let delayMs = 0;
  let isCut = false;
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
    socket.on('data', chunk => link.fromClient && onward.write(chunk));
    const held: Buffer[] = [];
    onward.on('data', (chunk: Buffer) => {
      if (!link.fromServer) return;
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
    cut() {
      isCut = true;
      dropAll();
    },
    restore: () => void (isCut = false),
    async stop() {
      const closed = once(server, 'close');
      server.close();
      dropAll();
      await closed;
    }
  };
}
