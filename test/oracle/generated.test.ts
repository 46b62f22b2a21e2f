import fc from 'fast-check';
import { expectSame, isComparable } from './compare.js';
import { scripts } from './generators.js';
import { play } from './harness.js';
import { normalise } from './normalise.js';
import { oracles, subjects } from './subjects.js';

/** ORACLE_SEED plays other scripts, ORACLE_RUNS so many times as many. */
const seed = Number(process.env.ORACLE_SEED ?? 20251125);
const times = Number(process.env.ORACLE_RUNS ?? 1);
const runs = { node: 600 * times, web: 2400 * times };

for (const adapter of ['node', 'web'] as const) {
  const ours = subjects.filter(subject => subject.adapter === adapter);
  // Promise: L2
  it(
    `${runs[adapter]} generated scripts show the same in every mode (${adapter}, seed ${seed})`,
    async () => {
      const property = fc.asyncProperty(scripts(adapter), async script => {
        const stock = normalise(await play(script, oracles[adapter]));
        expect(stock.late).toEqual([]);
        for (const subject of ours) {
          if (isComparable(script, subject)) await expectSame(script, subject, stock);
        }
      });
      await fc.assert(property, { seed, numRuns: runs[adapter], endOnFailure: process.env.ORACLE_SHRINK === '0' });
    },
    120_000 * Math.max(times, 1)
  );
}
