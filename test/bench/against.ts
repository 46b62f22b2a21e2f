import { readFileSync } from 'node:fs';
import type { Row } from './scenario.js';

/** How much worse a row may be than the kept one: counts, and what is measured on machines with other work to do. */
const ALLOWED_LOSS = { count: 0.05, measured: 0.15 };

/** What a run with `--out` has written. */
interface Kept {
  scenarios: { rows: Row[] }[];
}

export interface Compared {
  measure: string;
  kept: number;
  now: number;
  /** How much worse it is, as a part of the kept value; negative if it is better. */
  loss: number;
  isTooMuch: boolean;
}

/** @throws Error if the file cannot be read as such a run */
export function readKept(file: string): Row[] {
  let kept: Partial<Kept>;
  try {
    kept = JSON.parse(readFileSync(file, 'utf8')) as Partial<Kept>;
  } catch (error) {
    throw new Error(`--against: ${file} cannot be read as the JSON of a run (${(error as Error).message})`, {
      cause: error
    });
  }
  if (!Array.isArray(kept.scenarios)) throw new Error(`--against: ${file} is not what --out writes`);
  return kept.scenarios.flatMap(({ rows }) => rows);
}

/** Compares the rows that both runs have. A row without a goal is for information, unless it is a count. */
export function compare(now: readonly Row[], kept: readonly Row[]): Compared[] {
  return now.flatMap(row => {
    const before = kept.find(({ measure }) => measure === row.measure);
    if (!before || (!row.goal && !row.isCount)) return [];
    const isHigherBetter = row.goal !== undefined && 'atLeast' in row.goal;
    const change = (row.median - before.median) / Math.abs(before.median);
    const loss = isHigherBetter ? -change : change;
    const allowed = row.isCount ? ALLOWED_LOSS.count : ALLOWED_LOSS.measured;
    return [{ measure: row.measure, kept: before.median, now: row.median, loss, isTooMuch: loss > allowed }];
  });
}
