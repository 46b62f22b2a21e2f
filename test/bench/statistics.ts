export interface Summary {
  median: number;
  min: number;
  max: number;
}

export function summarize(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Of the medians, and the spread of what single rounds show: both sides of a round were measured one after the other. */
export function ratio(ours: readonly number[], theirs: readonly number[]): Summary {
  const { min, max } = summarize(ours.map((value, round) => value / theirs[round]!));
  return { median: median(ours) / median(theirs), min, max };
}
