import { readdirSync, readFileSync } from 'node:fs';
import type { Plan } from './plan.js';

/** A history that once broke a law because of a fault of the product. It is played before the seeds. */
export interface Case {
  /** What went wrong. */
  readonly name: string;
  readonly plan: Plan;
}

const FOLDER = 'test/simulation/cases';

/** The plans are kept, not the seeds: a change of plan.ts gives a seed another plan. */
export const cases: readonly Case[] = readdirSync(FOLDER).map(
  file => JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Case
);
