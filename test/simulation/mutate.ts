/**
 * Shows whether the simulation can fail: each mutation puts a fault into the product, and a seed should break a law because
 * of it. `npm run simulate:mutations` plays the seed that is known for each fault (mutations.json); if it does not find the
 * fault any more, all fixed seeds are played. `-- --only WORDS` plays the faults with these words, `--workers N` plays N
 * faults at the same time.
 */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs, promisify } from 'node:util';
import type { Plugin } from 'esbuild';
import { writeBundle } from '../support/pods/bundle.js';
import { type Mutation, mutations } from './mutations.js';

const run = promisify(execFile);
const KNOWN = 'test/simulation/mutations.json';
/** As in `npm test`. */
const FIXED_SEEDS = 600;

const { values } = parseArgs({ options: { only: { type: 'string' }, workers: { type: 'string' } } });
const workers = values.workers === undefined ? availableParallelism() : Number(values.workers);
const known = JSON.parse(await readFile(KNOWN, 'utf8')) as Record<string, { seed: number; finding: string }>;
const found = { ...known };
const waiting = mutations.filter(({ fault }) => fault.includes(values.only ?? ''));
const played = waiting.length;
const missed: string[] = [];
await Promise.all(Array.from({ length: workers }, work));
await rm('node_modules/.cache/anypod-mutants', { recursive: true, force: true });

const inOrder = Object.fromEntries(mutations.flatMap(({ fault }) => (found[fault] ? [[fault, found[fault]]] : [])));
await writeFile(KNOWN, `${JSON.stringify(inOrder, null, 2)}\n`);
process.stdout.write(`${played - missed.length} of ${played} faults found\n`);
for (const fault of missed) process.stdout.write(`NOT FOUND: ${fault}\n`);
process.exitCode = missed.length > 0 ? 1 : 0;

async function work(): Promise<void> {
  for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
    const { fault } = mutation;
    const script = await writeBundle('test/simulation/main.ts', [mutated(mutation)]);
    const seed = known[fault]?.seed;
    const finding =
      (seed !== undefined && (await firstFinding(script, seed, 1))) || (await firstFinding(script, 1, FIXED_SEEDS));
    if (finding) found[fault] = finding;
    else missed.push(fault);
    process.stdout.write(`${finding ? `seed ${finding.seed}: ${finding.finding}` : 'nothing'}  <-  ${fault}\n`);
  }
}

/** The first seed that breaks a law, and the law. A history that throws, or does not end, is a finding too. */
async function firstFinding(
  script: string,
  from: number,
  seeds: number
): Promise<{ seed: number; finding: string } | undefined> {
  const args = [script, '--first', '--from', String(from), '--seeds', String(seeds)];
  const { stdout } = await run(process.execPath, args, { timeout: 120_000 }).catch(
    (error: { stdout: string; stderr: string }) => error
  );
  const [, seed, finding] = /^first: (\d+) (.*)$/m.exec(stdout) ?? [];
  return seed === undefined ? undefined : { seed: Number(seed), finding: finding! };
}

function mutated({ file, find, replace }: Mutation): Plugin {
  return {
    name: 'mutated',
    setup(build) {
      build.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
        if (!path.endsWith(`/src/${file}`)) return undefined;
        const text = await readFile(path, 'utf8');
        if (text.split(find).length !== 2) throw new Error(`src/${file} must have this text once:\n${find}`);
        return { contents: text.replace(find, () => replace), loader: 'ts' };
      });
    }
  };
}
