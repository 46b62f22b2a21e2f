/**
 * Plays histories of a whole fleet on a simulated clock: `npm run simulate -- --seeds 10000 --from 1`, or `--minutes 30` for
 * as many as that time allows. The named cases in cases.ts are played first. If a seed breaks a law, the smallest history
 * found that breaks it is printed as a log, and the command that plays it again: `npm run simulate -- --replay 182`
 * prints the log of a seed, `--replay 182 --shrunk` that of its smallest history, `--plan FILE` that of a plan in JSON.
 * `--first` stops at the first seed that breaks a law.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cases } from './cases.js';
import { Coverage } from './coverage.js';
import { type Outcome, play } from './history.js';
import { laws } from './laws.js';
import { type Plan, variationsOf } from './plan.js';
import { kindOf, shrink } from './shrink.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    replay: { type: 'string' },
    shrunk: { type: 'boolean', default: false },
    plan: { type: 'string' },
    first: { type: 'boolean', default: false }
  }
});

/** Where the plan of the smallest failing history is written. */
const SHRUNK = 'node_modules/.cache/anypod-shrunk.json';

// What the package makes when it is first needed is made here, so that the first history is like every other.
await play(0);

if (values.replay !== undefined) await replay(numberOf('replay', values.replay), values.shrunk);
else if (values.plan !== undefined) tell(await play(JSON.parse(readFileSync(values.plan, 'utf8')) as Plan, true));
else if (values.first) await findFirst(numberOf('from', values.from), numberOf('seeds', values.seeds));
else await search(numberOf('from', values.from));

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${option} must be a whole number, got '${text}'`);
}

function write(text: string): void {
  process.stdout.write(`${text}\n`);
}

function tell({ log, violations }: Outcome): void {
  write(`${log.join('\n')}\n\n${violations.map(explained).join('\n') || 'No law is broken.'}`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}

/** A violation with the law that is broken. */
function explained(violation: string): string {
  const [name = ''] = violation.split(':', 1);
  const broken = (laws as Record<string, { law: string; holds: string }>)[name];
  return broken ? `${violation}\n    ${broken.law} (${broken.holds})` : violation;
}

async function replay(seed: number, isShrunk: boolean): Promise<void> {
  if (!isShrunk) return tell(await play(seed, true));
  const plan = await shrink(seed);
  writeFileSync(SHRUNK, JSON.stringify(plan, null, 2));
  tell(await play(plan, true));
  write(`The plan of this history: ${SHRUNK} (npm run simulate -- --plan ${SHRUNK})`);
}

/** @throws Error if a seed does not give the same history twice: then no failure could be played again */
async function checkRepeatable(seed: number): Promise<void> {
  const [first, second] = [await play(seed, true), await play(seed, true)];
  const at = first.log.findIndex((line, index) => line !== second.log[index]);
  if (at < 0 && first.log.length === second.log.length) return;
  throw new Error(`Seed ${seed} gives two histories: '${first.log[at]}' and '${second.log[at]}'`);
}

/** Stops at the first history that breaks a law. */
async function findFirst(from: number, seeds: number): Promise<void> {
  for (let seed = from; seed < from + seeds; seed++) {
    const [violation] = (await play(seed)).violations;
    if (violation === undefined) continue;
    write(`first: ${seed} ${kindOf(violation)}`);
    process.exitCode = 1;
    return;
  }
}

async function playCases(): Promise<number> {
  let failed = 0;
  for (const { name, plan } of cases) {
    for (const variation of variationsOf(plan)) {
      const { violations } = await play(variation);
      if (violations.length === 0) continue;
      failed++;
      write(`The case '${name}' breaks a law again:\n${violations.map(explained).join('\n')}`);
      break;
    }
  }
  return failed;
}

async function search(from: number): Promise<void> {
  const failedCases = await playCases();
  for (let seed = from; seed < from + 3; seed++) await checkRepeatable(seed);
  const coverage = new Coverage();
  const began = performance.now();
  const until = values.minutes === undefined ? Infinity : began + numberOf('minutes', values.minutes) * 60_000;
  const last = values.minutes === undefined ? from + numberOf('seeds', values.seeds) : Infinity;
  const kinds = new Map<string, { count: number; seed: number }>();
  const faults: Record<string, number> = {};
  let [failed, calls, answered, simulatedMs, seed] = [0, 0, 0, 0, from];
  for (; seed < last && performance.now() < until; seed++) {
    const outcome = await play(seed);
    calls += outcome.calls;
    answered += outcome.answered;
    simulatedMs += outcome.simulatedMs;
    for (const [kind, count] of Object.entries(outcome.faults)) faults[kind] = (faults[kind] ?? 0) + count;
    if (outcome.violations.length > 0) failed++;
    for (const violation of outcome.violations) {
      const known = kinds.get(kindOf(violation)) ?? { count: 0, seed };
      if (known.count++ === 0 && values.minutes !== undefined) write(`seed ${seed}: ${violation}`);
      kinds.set(kindOf(violation), known);
    }
  }
  const seconds = (performance.now() - began) / 1000;
  write(
    `${seed - from} histories, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ` +
      `${((seed - from) / seconds).toFixed(0)} histories a second, ${answered} of ${calls} calls answered`
  );
  const sorted = Object.entries(faults).sort(([a], [b]) => a.localeCompare(b));
  write(`${sorted.length} kinds of faults: ${sorted.map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  write(String(coverage));
  write(`Histories that broke a law: ${failed}`);
  for (const [kind, { count, seed: example }] of [...kinds].sort((a, b) => b[1].count - a[1].count)) {
    write(`${String(count).padStart(6)} ${kind}   npm run simulate -- --replay ${example} --shrunk`);
  }
  process.exitCode = failed + failedCases > 0 ? 1 : 0;
  const [first] = kinds.values();
  if (first && values.minutes === undefined) await replay(first.seed, true);
}
