import type { Profiles } from './profile.js';
import type { Summary } from './statistics.js';

/** A number that was measured, and what it should be. */
export interface Row extends Summary {
  measure: string;
  unit: string;
  /** What exactly was measured; one sentence. */
  method: string;
  /** Absent where the row is for information. */
  goal?: { atLeast: number } | { atMost: number };
  /** Set if it is counted, so that it does not depend on the machine. */
  isCount?: boolean;
}

/** What stands behind the rows, one line for each subject that was measured. */
export type Detail = Record<string, string | number>;

export interface Findings {
  rows: Row[];
  details?: Detail[];
}

export interface BenchOptions {
  quick: boolean;
  rounds: number;
  seconds: number;
  /** Whether other packages are measured too. */
  peers: boolean;
  /** Set if the CPU time of the scenario's subjects is profiled. */
  profiles?: Profiles | undefined;
}

export interface Scenario {
  name: string;
  title: string;
  run(options: BenchOptions): Promise<Findings>;
}

export function isReached({ goal, median }: Row): boolean | undefined {
  if (!goal) return undefined;
  return 'atLeast' in goal ? median >= goal.atLeast : median <= goal.atMost;
}
