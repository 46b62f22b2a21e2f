/**
 * Shows whether the simulation can fail: each mutation puts a fault into the product, and a seed must break a law because
 * of it. `npm run simulate:mutations` plays the seed that is known for each fault (mutations.json); if it does not find the
 * fault any more, all fixed seeds are played, and the first that finds it is noted. `-- --only WORDS` plays the faults with
 * these words, `--workers N` plays N faults at the same time. `--known` plays the known seeds alone, as a part of `npm test`,
 * and fails if they find fewer than 34 faults.
 */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import type { Plugin } from 'esbuild';
import { writeBundle } from '../support/pods/bundle.js';
import type { firstViolation as FirstViolation } from './firstViolation.js';
import { type Mutation, mutations } from './mutations.js';

const run = promisify(execFile);
const KNOWN = 'test/simulation/mutations.json';
/** More than `npm test` plays, for the faults that few histories can show. */
const SEARCHED_SEEDS = 1500;
/** So many faults must be found by the seeds in the list. If fewer are found, play all again without `--known`. */
const LEAST_KNOWN = 34;

const { values } = parseArgs({
  options: { only: { type: 'string' }, workers: { type: 'string' }, known: { type: 'boolean', default: false } }
});
const workers = values.workers === undefined ? availableParallelism() : Number(values.workers);
const known = JSON.parse(await readFile(KNOWN, 'utf8')) as Record<string, { seed: number; finding: string }>;
const found = { ...known };
const waiting = mutations.filter(
  ({ fault }) => fault.includes(values.only ?? '') && (!values.known || known[fault] !== undefined)
);
const played = waiting.length;
const missed: string[] = [];
const scripts: string[] = [];
if (values.known) {
  await playKnown();
} else {
  await Promise.all(Array.from({ length: workers }, work));
  const inOrder = Object.fromEntries(mutations.flatMap(({ fault }) => (found[fault] ? [[fault, found[fault]]] : [])));
  await writeFile(KNOWN, `${JSON.stringify(inOrder, null, 2)}\n`);
}
for (const script of scripts) await rm(script, { force: true });
process.stdout.write(`${played - missed.length} of ${played} faults found\n`);
for (const fault of missed) process.stdout.write(`NOT FOUND: ${fault}\n`);
// A change of the product may shift the timing of a history, so that its seed shows something else.
const least = values.known ? LEAST_KNOWN : played;
process.exitCode = played - missed.length < least ? 1 : 0;

/** In this process, which loads the SDK once for all. */
async function playKnown(): Promise<void> {
  for (const mutation of waiting) {
    const { fault } = mutation;
    const seed = known[fault]?.seed;
    const script = await writeBundle('test/simulation/firstViolation.ts', [mutated(mutation)]);
    scripts.push(script);
    const { firstViolation } = (await import(pathToFileURL(script).href)) as { firstViolation: typeof FirstViolation };
    const finding = seed === undefined ? undefined : await firstViolation(seed).catch(String);
    if (finding === undefined) missed.push(fault);
  }
}

async function work(): Promise<void> {
  for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
    const { fault } = mutation;
    const script = await writeBundle('test/simulation/main.ts', [mutated(mutation)]);
    scripts.push(script);
    const seed = known[fault]?.seed;
    const finding =
      (seed !== undefined && (await firstFinding(script, seed, 1))) || (await firstFinding(script, 1, SEARCHED_SEEDS));
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
  const { stdout } = await run(process.execPath, args, { timeout: 400_000 }).catch(
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
