import { writeFileSync } from 'node:fs';
import { compare, readKept } from './against.js';
import { buildAll } from './build.js';
import { readFlags } from './flags.js';
import { describeMachine, machineLine } from './machine.js';
import { svgOf } from './plot.js';
import { Profiles } from './profile.js';
import { markdown, markdownCosts, printCompared, printCosts, printFindings, printGoals } from './report.js';
import { isReached, type Findings, type Row } from './scenario.js';
import { attached } from './scenarios/attached.js';
import { fanOut } from './scenarios/fanOut.js';
import { heap } from './scenarios/heap.js';
import { openLoop } from './scenarios/latency.js';
import { observability } from './scenarios/observability.js';
import { notification } from './scenarios/notification.js';
import { recovery } from './scenarios/recovery.js';
import { redisMemory } from './scenarios/redisMemory.js';
import { redisTraffic } from './scenarios/redisTraffic.js';
import { resume } from './scenarios/resume.js';
import { manySessions, pods } from './scenarios/scale.js';
import { resumable, trust } from './scenarios/options.js';
import { surroundings } from './scenarios/surroundings.js';
import { throughput } from './scenarios/throughput.js';
import { version2 } from './scenarios/version2.js';
import { web } from './scenarios/web.js';

/**
 * What the product costs and gains, side by side with the stock SDK: each scenario prints what it measured, the table in
 * the end sets it against the goals. A goal that is missed does not fail the run: on a machine with other work to do it
 * says nothing.
 */
const flags = readFlags([
  ...throughput,
  resumable,
  trust,
  openLoop,
  observability,
  web,
  version2,
  ...surroundings,
  redisTraffic,
  recovery,
  notification,
  fanOut,
  resume,
  heap,
  attached,
  redisMemory,
  manySessions,
  pods
]);
const kept = flags.against === undefined ? undefined : readKept(flags.against);
const machine = describeMachine();
await buildAll(flags.build);
console.log(machineLine(machine));
console.log(`${flags.rounds} rounds of ${flags.seconds} s after one that warms up, subjects in turn; medians\n`);

const found: Record<string, Findings> = {};
const profiled: Record<string, Profiles> = {};
for (const scenario of flags.scenarios) {
  const { name, title } = scenario;
  const startedAt = performance.now();
  console.log(`${name}: ${title}`);
  const profiles = flags.profile === undefined ? undefined : (profiled[name] = new Profiles(flags.profile, name));
  try {
    found[name] = await scenario.run({ ...flags, profiles });
    printFindings(found[name]);
    printCosts(profiles?.costs ?? []);
  } catch (error) {
    // What the others measure is worth having.
    console.error(error);
    process.exitCode = 1;
  }
  console.log(`  (${((performance.now() - startedAt) / 1000).toFixed(1)} s)\n`);
}

const rows: Row[] = Object.values(found).flatMap(findings => findings.rows);
printGoals(rows);
if (kept) {
  const compared = compare(rows, kept);
  printCompared(compared);
  if (compared.length === 0 || compared.some(({ isTooMuch }) => isTooMuch)) process.exitCode = 1;
}
if (flags.markdown) {
  console.log(`\n${markdown(rows, machineLine(machine))}`);
  for (const [name, { costs }] of Object.entries(profiled)) console.log(markdownCosts(name, costs));
}
if (flags.svg !== undefined) writeFileSync(flags.svg, svgOf(rows, machineLine(machine)));
if (flags.out !== undefined) {
  const scenarios = Object.entries(found).map(([name, { rows: measured, details }]) => ({
    name,
    rows: measured.map(row => ({ ...row, reached: isReached(row) })),
    details
  }));
  const { rounds, seconds, quick } = flags;
  writeFileSync(flags.out, `${JSON.stringify({ machine, rounds, seconds, quick, scenarios }, null, 2)}\n`);
}
