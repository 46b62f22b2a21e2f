import { parseArgs } from 'node:util';
import type { BenchOptions, Scenario } from './scenario.js';

const HELP = `npm run bench -- [options]

  --quick          under a minute: fewer and shorter rounds, smaller sets
  --rounds N       rounds that count, after one that warms up (7; quick: 2)
  --seconds N      of load in a round (4; quick: 0.3)
  --only A,B       these scenarios
  --list           names the scenarios
  --peers          installs other packages into a temporary folder, and measures them too
  --profile DIR    profiles the CPU of each subject that gets load, without the first round: writes
                   DIR/<scenario>-<subject>.cpuprofile and prints the largest costs. It slows what is measured
  --markdown       prints the table of goals in markdown
  --svg FILE       draws the measures that have a goal
  --out FILE       writes everything that was measured as JSON
  --against FILE   compares with a run that --out has written; ends with 1 if a count is over 5 % worse, or another
                   measure over 15 %
  --no-build       takes dist as it is
`;

export interface Flags extends BenchOptions {
  scenarios: readonly Scenario[];
  markdown: boolean;
  build: boolean;
  profile: string | undefined;
  svg: string | undefined;
  out: string | undefined;
  against: string | undefined;
}

/** What the command line asks for. Ends the process where it asks for a text alone, or for what is not there. */
export function readFlags(all: readonly Scenario[]): Flags {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      list: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      build: { type: 'boolean', default: true },
      profile: { type: 'string' },
      svg: { type: 'string' },
      out: { type: 'string' },
      against: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  });
  if (values.help) quit(HELP, 0);
  if (values.list) quit(all.map(({ name, title }) => `${name.padEnd(14)}${title}\n`).join(''), 0);
  const names = values.only?.split(',') ?? all.map(({ name }) => name);
  const unknown = names.find(name => !all.some(scenario => scenario.name === name));
  if (unknown !== undefined) quit(`No scenario is called ${unknown}: see --list\n`, 1);
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 7));
  const seconds = Number(values.seconds ?? (values.quick ? 0.3 : 4));
  if (!Number.isInteger(rounds) || rounds < 1 || !(seconds > 0)) quit(HELP, 1);
  const { quick, peers, markdown, build, profile, svg, out, against } = values;
  return {
    quick,
    peers,
    markdown,
    build,
    profile,
    svg,
    out,
    against,
    rounds,
    seconds,
    scenarios: all.filter(({ name }) => names.includes(name))
  };
}

function quit(text: string, code: number): never {
  (code === 0 ? process.stdout : process.stderr).write(text);
  process.exit(code);
}
