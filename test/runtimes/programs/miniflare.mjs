/**
 * `miniflare.mjs <folder of the runtimes> <bundle of the Worker>`: two isolates of a Worker that share its Durable Objects.
 * Prints `second <port>` and `listening <port>`, the ports of the two.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [runtimes, scriptPath] = process.argv.slice(2);
const { Miniflare } = createRequire(join(runtimes, 'package.json'))('miniflare');
const direct = [{ host: '127.0.0.1', port: 0 }];
const worker = name => ({
  name,
  modules: true,
  scriptPath,
  compatibilityDate: '2026-04-01',
  bindings: { POD: name },
  durableObjects: { SESSIONS: { className: 'SessionObject', scriptName: 'first', useSQLite: true } },
  unsafeDirectSockets: direct
});
const miniflare = new Miniflare({ workers: [worker('first'), worker('second')] });
await miniflare.ready;
const portOf = async name => (await miniflare.unsafeGetDirectURL(name)).port;
const end = async () => {
  await miniflare.dispose();
  process.exit(0);
};
process.once('SIGTERM', () => void end());
process.stdin.once('end', () => void end()).resume();
console.log(`second ${await portOf('second')}`);
console.log(`listening ${await portOf('first')}`);
