import { play } from './history.js';

/** Every run of the tests plays the histories of these seeds. */
const SEEDS = 600;

describe('the simulated fleet', () => {
  it('plays the same history again from the same seed', async () => {
    for (const seed of [3, 14, 15]) {
      const first = await play(seed, true);
      const second = await play(seed, true);
      expect(second.log).toEqual(first.log);
      expect(first.log.length).toBeGreaterThan(50);
    }
  });

  it(`breaks no law in the histories of ${SEEDS} seeds`, async () => {
    const broken: string[] = [];
    const faults = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations, faults: met } = await play(seed);
      for (const kind of Object.keys(met)) faults.add(kind);
      if (violations.length > 0) broken.push(`${violations.join('; ')}: npm run simulate -- --replay ${seed}`);
    }
    expect(broken).toEqual([]);
    expect([...faults].sort()).toEqual(['add', 'drain', 'kill', 'link', 'pause', 'skew']);
  }, 300_000);
});
