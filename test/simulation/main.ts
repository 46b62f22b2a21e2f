/**
 * Plays histories of a whole fleet on a simulated clock: `npm run simulate -- --seeds 10000 --from 1`. A seed that breaks
 * a law is printed with the command that plays it again: `npm run simulate -- --replay 182`. `--shrink 182` leaves out of
 * it what it can do without, and prints the plan that is left; `--plan FILE` plays such a plan. `--first` stops at the
 * first seed that breaks a law.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Outcome, play } from './history.js';
import { type Plan } from './plan.js';
import { kindOf, shrink } from './shrink.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    replay: { type: 'string' },
    shrink: { type: 'string' },
    plan: { type: 'string' },
    first: { type: 'boolean', default: false }
  }
});

// What the package makes when it is first needed is made here, so that the first history is like every other.
await play(0);

if (values.replay !== undefined) tell(await play(numberOf('replay', values.replay), true));
else if (values.plan !== undefined) tell(await play(JSON.parse(readFileSync(values.plan, 'utf8')) as Plan, true));
else if (values.shrink !== undefined) write(JSON.stringify(await shrink(numberOf('shrink', values.shrink)), null, 2));
else if (values.first) await findFirst(numberOf('from', values.from), numberOf('seeds', values.seeds));
else await search(numberOf('from', values.from), numberOf('seeds', values.seeds));

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${option} must be a whole number, got '${text}'`);
}

function write(text: string): void {
  process.stdout.write(`${text}\n`);
}

function tell({ log, violations }: Outcome): void {
  write(`${log.join('\n')}\n\n${violations.join('\n') || 'No law is broken.'}`);
  process.exitCode = violations.length > 0 ? 1 : 0;
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

async function search(from: number, seeds: number): Promise<void> {
  for (let seed = from; seed < from + Math.min(seeds, 3); seed++) await checkRepeatable(seed);
  const began = process.hrtime.bigint();
  const kinds = new Map<string, { count: number; seed: number }>();
  const faults: Record<string, number> = {};
  let [failed, calls, answered, simulatedMs] = [0, 0, 0, 0];
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await play(seed);
    calls += outcome.calls;
    answered += outcome.answered;
    simulatedMs += outcome.simulatedMs;
    for (const [kind, count] of Object.entries(outcome.faults)) faults[kind] = (faults[kind] ?? 0) + count;
    if (outcome.violations.length > 0) failed++;
    for (const violation of outcome.violations) {
      const known = kinds.get(kindOf(violation)) ?? { count: 0, seed };
      known.count++;
      kinds.set(kindOf(violation), known);
    }
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  write(
    `${seeds} histories, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ` +
      `${(seeds / seconds).toFixed(0)} histories a second, ${answered} of ${calls} calls answered`
  );
  write(
    `Faults: ${Object.entries(faults)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}`
  );
  write(`Histories that broke a law: ${failed}`);
  for (const [kind, { count, seed }] of [...kinds].sort((a, b) => b[1].count - a[1].count)) {
    write(`${String(count).padStart(6)} ${kind}   npm run simulate -- --replay ${seed}`);
  }
  process.exitCode = failed > 0 ? 1 : 0;
}
