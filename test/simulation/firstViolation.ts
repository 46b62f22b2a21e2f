import { play } from './history.js';
import { planOf, variationsOf } from './plan.js';
import { kindOf } from './shrink.js';

/** The law that the plan of a seed, or a variation of it, breaks first, in the words of `kindOf`. */
export async function firstViolation(seed: number): Promise<string | undefined> {
  // What the package makes when it is first needed is made here, so that the first history is like every other.
  await play(0);
  for (const plan of variationsOf(planOf(seed))) {
    const [violation] = (await play(plan)).violations;
    if (violation !== undefined) return kindOf(violation);
  }
  return undefined;
}
