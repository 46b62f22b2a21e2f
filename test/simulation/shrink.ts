import { play } from './history.js';
import { type Plan, planOf, type Step } from './plan.js';

/** Whether two histories break the same law in the same way, whoever breaks it and when. */
export function kindOf(violation: string): string {
  return violation
    .replace(/\b[ctp]\d+(\.\d+)?\b|[0-9a-f]{8}-[0-9a-f-]{20,}/g, '#')
    .replace(/# on #/, '#')
    .replace(/\d+/g, 'N');
}

/** Shrinking ends after so many histories. */
const MAX_PLAYS = 400;

/** The options of a plan that change nothing. */
const PLAIN = {
  takeover: true,
  sessionFreshnessMs: 0,
  idleTimeoutMs: 0,
  maxLiveSessions: 1000,
  ttlSeconds: 600,
  logKeeps: 1000,
  fiveMethods: false,
  settingMs: 0
} as const satisfies Partial<Plan>;

/**
 * Leaves out of a failing history all that it can do without: steps, then clients, pods and options; then shortens what is
 * left.
 * @returns the smallest plan found that still breaks the same law; the plan of the seed itself if it breaks none
 */
export async function shrink(seedOrPlan: number | Plan): Promise<Plan> {
  let plan = typeof seedOrPlan === 'number' ? planOf(seedOrPlan) : seedOrPlan;
  const [violation] = (await play(plan)).violations;
  if (violation === undefined) return plan;
  const kind = kindOf(violation);
  let plays = 0;
  const take = async (candidate: Plan): Promise<boolean> => {
    if (++plays > MAX_PLAYS) return false;
    const fails = (await play(candidate)).violations.some(found => kindOf(found) === kind);
    if (fails) plan = candidate;
    return fails;
  };
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (let size = Math.ceil(plan.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < plan.steps.length;) {
        if (await take({ ...plan, steps: plan.steps.toSpliced(from, size) })) isSmaller = true;
        else from += size;
      }
    }
    for (const candidate of simpler(plan)) if (await take({ ...plan, ...candidate })) isSmaller = true;
  }
  for (const index of plan.steps.keys()) {
    for (const shorter of shorterSteps(plan.steps[index]!)) {
      if (await take({ ...plan, steps: plan.steps.with(index, shorter) })) break;
    }
  }
  return plan;
}

function simpler(plan: Plan): Partial<Plan>[] {
  const clients = lastNamed(plan, 'client') + 1;
  const pods = Math.max(1, lastNamed(plan, 'pod')) + 1;
  const candidates: Partial<Plan>[] = [];
  if (clients < plan.clients.length) candidates.push({ clients: plan.clients.slice(0, Math.max(1, clients)) });
  if (pods < plan.pods.length) candidates.push({ pods: plan.pods.slice(0, pods) });
  else if (plan.pods.length > 2) candidates.push({ pods: plan.pods.slice(0, -1) });
  for (const [option, value] of Object.entries(PLAIN)) {
    if (plan[option as keyof Plan] !== value) candidates.push({ [option]: value });
  }
  const [first] = plan.pods;
  const isAlike = plan.pods.every(pod => JSON.stringify(pod) === JSON.stringify(first));
  if (!isAlike) candidates.push({ pods: plan.pods.map(() => first!) });
  const plainClients = plan.clients.map(() => ({ opensAt: 0, version: '2025-11-25', repeats: false }));
  if (JSON.stringify(plainClients) !== JSON.stringify(plan.clients)) candidates.push({ clients: plainClients });
  return candidates;
}

function lastNamed({ steps }: Plan, key: 'client' | 'pod'): number {
  const named = steps.map(step => (key in step ? (step as unknown as Record<string, number>)[key]! : -1));
  return Math.max(-1, ...named);
}

function shorterSteps(step: Step): Step[] {
  const shorter: Step[] = [];
  if ('count' in step && step.count > 1) shorter.push({ ...step, count: 1 });
  if ('ms' in step && step.kind !== 'skew') {
    for (const ms of [10, 200, 1000]) if (ms < step.ms) shorter.push({ ...step, ms });
  }
  return shorter;
}
