import { Console } from 'node:console';
import type { Compared } from './against.js';
import type { Costs } from './profile.js';
import { isReached, type Findings, type Row } from './scenario.js';

export function goalOf({ goal }: Row): string {
  if (!goal) return '';
  return 'atLeast' in goal ? `at least ${goal.atLeast}` : `at most ${goal.atMost}`;
}

export function verdictOf(row: Row): string {
  const reached = isReached(row);
  return reached === undefined ? '' : reached ? 'yes' : 'NO';
}

export function format(value: number): string {
  if (Math.abs(value) >= 100) return String(Math.round(value));
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function cells(row: Row): [measure: string, value: string, spread: string, goal: string, reached: string] {
  const value = row.unit ? `${format(row.median)} ${row.unit}` : format(row.median);
  return [row.measure, value, `${format(row.min)}-${format(row.max)}`, goalOf(row), verdictOf(row)];
}

/** Prints what a scenario has found as soon as it has. */
export function printFindings({ rows, details }: Findings): void {
  if (details?.length) table(details);
  for (const row of rows) console.log(`  ${row.measure}: ${row.method}.`);
}

export function printGoals(rows: readonly Row[]): void {
  table(
    rows.map(row => {
      const [measure, value, spread, goal, reached] = cells(row);
      return { measure, value, 'spread of the rounds': spread, goal, reached };
    })
  );
}

export function printCompared(compared: readonly Compared[]): void {
  table(
    compared.map(({ measure, kept, now, loss, isTooMuch }) => ({
      measure,
      kept: format(kept),
      now: format(now),
      loss: `${format(100 * loss)} %`,
      verdict: isTooMuch ? 'TOO MUCH' : ''
    }))
  );
}

export function markdown(rows: readonly Row[], machine: string): string {
  const head = ['measure', 'value', 'spread of the rounds', 'goal', 'reached'];
  return `${machine}\n\n${markdownTable(head, rows.map(cells))}`;
}

/** Prints where the CPU time of each subject went, in % of the time in which it was not idle. */
export function printCosts(costs: readonly Costs[]): void {
  if (costs.length > 0) table(costs.map(({ subject, groups }) => ({ 'CPU time, %': subject, ...rounded(groups) })));
  for (const { subject, largest } of costs) {
    table(
      largest.map(cost => ({ [subject]: cost.function, file: cost.file, 'self time, %': cost.percent.toFixed(1) }))
    );
  }
}

export function markdownCosts(scenario: string, costs: readonly Costs[]): string {
  const [first] = costs;
  if (!first) return '';
  const names = Object.keys(first.groups);
  const lines = costs.map(({ subject, groups }) => [`${scenario}: ${subject}`, ...Object.values(rounded(groups))]);
  const sums = markdownTable(['CPU time, %', ...names], lines);
  const tables = costs.map(({ subject, largest }) =>
    markdownTable(
      [`${scenario}: ${subject}`, 'file', 'self time, %'],
      largest.map(({ function: name, file, percent }) => [`\`${name}\``, file && `\`${file}\``, percent.toFixed(1)])
    )
  );
  return [sums, ...tables].join('\n');
}

function rounded(groups: Costs['groups']): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).map(([name, percent]) => [name, percent.toFixed(1)]));
}

function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...lines].map(line => `| ${line.join(' | ')} |\n`).join('');
}

/** Wide enough for the measures' names whatever the terminal. */
function table(lines: readonly object[]): void {
  new Console({ stdout: process.stdout, colorMode: false, inspectOptions: { breakLength: Infinity } }).table(lines);
}
