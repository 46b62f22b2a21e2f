import fc from 'fast-check';
import { closeNodeEndpoint } from './endpoints.js';
import { expectSame, isComparable } from './compare.js';
import { scripts } from './generators.js';
import { play } from './harness.js';
import { normalise } from './normalise.js';
import { oraclesV2, subjectsV2 } from './subjectsV2.js';

afterAll(closeNodeEndpoint);

/** ORACLE_SEED plays other scripts, ORACLE_RUNS so many times as many. */
const seeds = process.env.ORACLE_SEED ? [Number(process.env.ORACLE_SEED)] : [20260728, 20251125, 1];
const times = Number(process.env.ORACLE_RUNS ?? 1);
const runs = { node: 60 * times, web: 240 * times };

describe.each(seeds)('scripts of seed %i', seed => {
  it.each(['node', 'web'] as const)(
    'show the same as with version 2 of the SDK, in every mode (%s)',
    async adapter => {
      const ours = subjectsV2.filter(subject => subject.adapter === adapter);
      const property = fc.asyncProperty(scripts(adapter), async script => {
        const stock = normalise(await play(script, oraclesV2[adapter]));
        expect(stock.late).toEqual([]);
        for (const subject of ours) {
          if (isComparable(script, subject)) await expectSame(script, subject, stock);
        }
      });
      await fc.assert(property, { seed, numRuns: runs[adapter], endOnFailure: process.env.ORACLE_SHRINK === '0' });
    },
    60_000 * Math.max(times, 1)
  );
});
