import calculateSlot from 'cluster-key-slot';
import fc from 'fast-check';
import { RedisKeys } from '../../src/backends/redis/keys.js';

const sessionId = fc.option(
  fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map(code => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 256
  }),
  { nil: undefined, freq: 4 }
);
// Task ids come from clients as they like.
const taskId = fc.string();

const keysOf = (keys: RedisKeys, session: string | undefined, task: string) => [
  keys.task(session, task),
  keys.taskMessages(session, task),
  keys.tasks(session),
  keys.taskExpiries(session),
  ...(session === undefined ? [] : [keys.session(session), keys.record(session), keys.tombstone(session)])
];

describe('Redis keys of tasks', () => {
  it('share the slot of their session, whatever the name of the task', () => {
    fc.assert(
      fc.property(
        sessionId,
        taskId,
        fc.constantFrom('mcp:session:', '', 'app:{tenant}:', '{', '}'),
        (id, task, prefix) => {
          const slots = keysOf(new RedisKeys(prefix), id, task).map(key => calculateSlot(key));
          expect(new Set(slots).size).toBe(1);
        }
      )
    );
  });

  it('differ for any two sessions and any two kinds of key', () => {
    fc.assert(
      fc.property(sessionId, sessionId, taskId, taskId, (one, other, task, otherTask) => {
        fc.pre(one !== other);
        const keys = new RedisKeys('p:');
        const all = [...keysOf(keys, one, task), ...keysOf(keys, other, otherTask)];
        expect(new Set(all).size).toBe(all.length);
      })
    );
  });
});
