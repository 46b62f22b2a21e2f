import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare, readKept } from '../bench/against.js';
import type { Row } from '../bench/scenario.js';

const row = (median: number, rest: Partial<Row>): Row => ({
  measure: 'm',
  unit: '',
  method: '',
  median,
  min: median,
  max: median,
  ...rest
});

test.each<[what: string, kept: number, now: number, of: Partial<Row>, isTooMuch: boolean | undefined]>([
  ['a ratio that fell by a fifth', 4, 3.2, { goal: { atLeast: 3 } }, true],
  ['a ratio that fell by a tenth', 4, 3.6, { goal: { atLeast: 3 } }, false],
  ['a ratio that rose', 4, 8, { goal: { atLeast: 3 } }, false],
  ['a cost that rose by a fifth', 100, 120, { goal: { atMost: 200 } }, true],
  ['a cost that fell', 100, 50, { goal: { atMost: 200 } }, false],
  ['a count that rose by a tenth', 1, 1.1, { isCount: true }, true],
  ['a count that rose by a hundredth', 1, 1.01, { isCount: true }, false],
  ['a row for information', 1, 9, {}, undefined]
])('a bench run against a kept one: %s', (_what, kept, now, of, isTooMuch) => {
  const [compared] = compare([row(now, of)], [row(kept, of)]);
  expect(compared?.isTooMuch).toBe(isTooMuch);
});

test('a bench run is not compared with a row that the kept run does not have', () => {
  const goal = { atLeast: 1 };
  expect(compare([row(1, { goal })], [row(9, { goal, measure: 'other' })])).toEqual([]);
});

test.each([
  ['no JSON', 'rows', 'cannot be read as the JSON of a run'],
  ['other JSON', '{}', 'is not what --out writes']
])('a kept bench run that is %s is refused', (_what, text, problem) => {
  const file = join(mkdtempSync(join(tmpdir(), 'anypod-kept-')), 'kept.json');
  writeFileSync(file, text);
  expect(() => readKept(file)).toThrow(problem);
});
