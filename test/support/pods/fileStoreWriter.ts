/**
 * A process that writes to a FileSessionStore and says so: `begin <what>` before each write, `done <what>` when it was
 * acknowledged.
 *
 *   node fileStoreWriter.js <mode> <path> <name> <session>
 */
import { FileSessionStore } from '../../../src/backends/file/sessionStore.js';

const [mode, path, name, sessionId] = process.argv.slice(2) as [keyof typeof modes, string, string, string];
const store = new FileSessionStore({ path });

const say = (text: string) => process.stdout.write(`${text}\n`);

async function told(what: string, write: () => Promise<unknown>): Promise<void> {
  say(`begin ${what}`);
  await write();
  say(`done ${what}`);
}

function record(id: string) {
  const now = Date.now();
  return { sessionId: id, initialized: false, createdAt: now, lastActivity: now };
}

const modes = {
  /** Until it is killed. */
  async untilKilled() {
    for (let life = 0; ; life++) {
      const own = `${name}-${life}`;
      await told(`create ${own}`, () => store.storeSession(own, record(own)));
      for (let i = 0; i < 3; i++) {
        await told(`subscribe ${own} ${i}`, () => store.patchSession(own, { subscribe: String(i) }));
        await told(`state ${own} ${i}`, () => store.putState(own, String(i)));
        await store.touchSession(own);
        await store.acquireLock(sessionId, own, 300);
        await told(`subscribe ${sessionId} ${own}/${i}`, () =>
          store.patchSession(sessionId, { subscribe: `${own}/${i}` })
        );
      }
      if (life % 2 === 0) await told(`delete ${own}`, () => store.deleteSession(own));
    }
  },

  /** So many changes that none may be lost of, each of which depends on what others have written. */
  async count() {
    for (let i = 0; i < 25; i++) {
      await store.patchSession(sessionId, { subscribe: `${name}/${i}` });
      for (let written = false; !written;) {
        const { value, version } = (await store.getState(sessionId))!;
        written = (await store.putState(sessionId, String(Number(value) + 1), version)) === 'written';
      }
    }
    say('done');
  },

  async open() {
    try {
      await store.open();
      say('open');
    } catch (error) {
      say(`${(error as { code: string }).code}: ${(error as Error).message}`);
    }
  }
};

await modes[mode]();
