import { emitWarning } from '../../report.js';

interface SocketOptions {
  socketTimeout?: unknown;
  path?: unknown;
}

interface IoredisOptions extends SocketOptions {
  redisOptions?: SocketOptions;
}

interface NodeRedisOptions {
  socket?: SocketOptions;
  defaults?: { socket?: SocketOptions };
}

let warned = false;

/** Warns once per process if an ioredis client would keep a connection whose peer disappeared without closing it. */
export function checkIoredisConnections(client: object): void {
  const { options, isCluster } = client as { options?: IoredisOptions; isCluster?: boolean };
  if (isCluster) check(options && (options.redisOptions ?? {}), 'redisOptions: { socketTimeout: 5000 }');
  else check(options, 'socketTimeout: 5000');
}

/** The same for a node-redis client. The options of a `createSentinel` client cannot be read. */
export function checkNodeRedisConnections(client: object): void {
  const { options, _options } = client as { options?: NodeRedisOptions; _options?: NodeRedisOptions };
  const remedy = 'pingInterval: 1000, socket: { socketTimeout: 5000 }';
  if ('getSlotMaster' in client) check(_options && (_options.defaults?.socket ?? {}), `defaults: { ${remedy} }`);
  else check(options && (options.socket ?? {}), remedy);
}

/** @param socket - undefined if the options are unknown. A Unix socket (`path`) has no network that could fail. */
function check(socket: SocketOptions | undefined, remedy: string): void {
  if (warned || !socket || Number(socket.socketTimeout) > 0 || typeof socket.path === 'string') return;
  warned = true;
  emitWarning(
    'ANYPOD_REDIS_SOCKET_TIMEOUT',
    'The Redis client was made without socketTimeout. If its connection dies without a reset, every request is answered ' +
      `503 until the operating system gives up, which takes up to 15 minutes. Give the client ${remedy}`
  );
}
