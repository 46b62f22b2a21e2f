import { play } from './history.js';
import { type Plan, planOf } from './plan.js';

/** Whether two histories break the same law, whoever breaks it and when. */
export function kindOf(violation: string): string {
  return violation.replace(/\b[ctp]\d+(\.\d+)?\b|[0-9a-f]{8}-[0-9a-f-]{20,}/g, '#').replace(/\d+/g, 'N');
}

/**
 * Leaves out of a failing history all that it can do without: steps one after the other, then clients and pods.
 * @returns the smallest plan found that still breaks the same law; the plan of the seed itself if it breaks none
 */
export async function shrink(seed: number): Promise<Plan> {
  let plan = planOf(seed);
  const [violation] = (await play(plan)).violations;
  if (violation === undefined) return plan;
  const kind = kindOf(violation);
  const fails = async (candidate: Plan): Promise<boolean> =>
    (await play(candidate)).violations.some(found => kindOf(found) === kind);
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (let size = Math.ceil(plan.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < plan.steps.length;) {
        const candidate = { ...plan, steps: plan.steps.toSpliced(from, size) };
        if (await fails(candidate)) {
          plan = candidate;
          isSmaller = true;
        } else {
          from += size;
        }
      }
    }
    const named = (key: 'client' | 'pod'): number =>
      Math.max(-1, ...plan.steps.map(step => (key in step ? (step as unknown as Record<string, number>)[key]! : -1))) +
      1;
    const fewer = [
      { ...plan, clients: Math.max(1, named('client')) },
      { ...plan, pods: Math.max(2, named('pod')) }
    ];
    for (const candidate of fewer) {
      if (candidate.clients === plan.clients && candidate.pods === plan.pods) continue;
      if (await fails(candidate)) {
        plan = candidate;
        isSmaller = true;
      }
    }
  }
  return plan;
}
