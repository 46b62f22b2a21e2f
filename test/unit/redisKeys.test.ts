import calculateSlot from 'cluster-key-slot';
import fc from 'fast-check';
import { RedisKeys } from '../../src/backends/redis/keys.js';

const sessionId = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map(code => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 256
});

const allOf = (keys: RedisKeys, id: string) => [
  keys.session(id),
  keys.record(id),
  keys.tombstone(id),
  keys.lock(id),
  keys.lockQueue(id),
  keys.lockPlaces(id)
];

describe('Redis keys', () => {
  it('of one session share a slot of a cluster', () => {
    fc.assert(
      fc.property(sessionId, fc.constantFrom('mcp:session:', '', 'app:{tenant}:', '{', '}'), (id, prefix) => {
        const keys = new RedisKeys(prefix);
        const slots = allOf(keys, id).map(key => calculateSlot(key));
        expect(new Set(slots).size).toBe(1);
      })
    );
  });

  it('of two sessions are never the same', () => {
    fc.assert(
      fc.property(sessionId, sessionId, (one, other) => {
        fc.pre(one !== other);
        const keys = new RedisKeys('p:');
        const all = [one, other].flatMap(id => allOf(keys, id));
        expect(new Set(all).size).toBe(12);
      })
    );
  });
});
