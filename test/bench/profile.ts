import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Worker } from './worker.js';

/** The parts of a `.cpuprofile` that are read. */
export interface CpuProfile {
  nodes: { callFrame: CallFrame; hitCount?: number }[];
}

interface CallFrame {
  functionName: string;
  /** Empty if the function has no file. */
  url: string;
  /** From 0; -1 for what is not JavaScript. */
  lineNumber: number;
}

/** What a process spent its CPU time on, in % of the time in which it was not idle. */
export interface Costs {
  subject: string;
  /** By self time. */
  largest: { function: string; file: string; percent: number }[];
  groups: Record<Group, number>;
}

const GROUPS = [
  "Node's HTTP and system",
  'garbage collection',
  'SDK and zod',
  'Redis client',
  'this package',
  'other code'
] as const;
type Group = (typeof GROUPS)[number];

const LARGEST = 10;
const SDK = new Set(['mcp-sdk-upstream', 'zod', 'zod-to-json-schema', 'ajv', 'ajv-formats']);
const REDIS_CLIENTS = new Set(['ioredis', '@ioredis/commands', 'redis-parser', 'standard-as-callback', 'denque']);

/** The group of a function, and its file as it is shown. */
function placeOf({ functionName, url, lineNumber }: CallFrame): { group: Group; file: string } {
  if (functionName === '(garbage collector)') return { group: 'garbage collection', file: '' };
  // Of the packages here, only zod and ajv compile functions while the process runs.
  if (url === '' && lineNumber >= 0) return { group: 'SDK and zod', file: 'made by new Function' };
  // Also without a file: native functions, and `(program)`, which is everything outside of JavaScript.
  if (url === '' || url.startsWith('node:')) return { group: "Node's HTTP and system", file: url };
  const installed = url.split('/node_modules/').at(-1)!;
  if (installed !== url) {
    const [first, second] = installed.split('/');
    const library = first!.startsWith('@') ? `${first}/${second}` : first!;
    if (SDK.has(library) || first === '@modelcontextprotocol') return { group: 'SDK and zod', file: installed };
    return { group: REDIS_CLIENTS.has(library) ? 'Redis client' : 'other code', file: installed };
  }
  const own = /\/(dist(?:-server)?\/.*)$/.exec(url)?.[1];
  return own === undefined
    ? { group: 'other code', file: url.split('/').at(-1)! }
    : { group: 'this package', file: own };
}

/** Reads a profile into the functions that cost most, and the sums by group. */
export function costsOf(subject: string, { nodes }: CpuProfile): Costs {
  const costs = new Map<string, Costs['largest'][number]>();
  const groups = Object.fromEntries(GROUPS.map(group => [group, 0])) as Record<Group, number>;
  const busy = nodes.filter(
    ({ callFrame, hitCount }) => hitCount && !['(idle)', '(root)'].includes(callFrame.functionName)
  );
  const total = busy.reduce((sum, { hitCount }) => sum + hitCount!, 0);
  for (const { callFrame, hitCount } of busy) {
    const { functionName, lineNumber } = callFrame;
    const name = functionName === '' ? `(line ${lineNumber + 1})` : functionName;
    const { group, file } = placeOf(callFrame);
    const percent = (100 * hitCount!) / total;
    groups[group] += percent;
    const cost = costs.get(`${name} ${file}`) ?? { function: name, file, percent: 0 };
    cost.percent += percent;
    costs.set(`${name} ${file}`, cost);
  }
  const largest = [...costs.values()].sort((a, b) => b.percent - a.percent).slice(0, LARGEST);
  return { subject, largest, groups };
}

/** A process that can be profiled. */
export interface Profiled {
  readonly name: string;
  startProfile(): Promise<unknown>;
  stopProfile(file: string): Promise<unknown>;
}

/** A process of the bench that is not a pod under load. */
export function profilable(name: string, worker: Worker): Profiled {
  return {
    name,
    startProfile: () => worker.call('startProfile'),
    stopProfile: file => worker.call('stopProfile', { file })
  };
}

/** Profiles the subjects of a scenario, each in its own file. */
export class Profiles {
  readonly #directory: string;
  readonly #scenario: string;
  readonly #costs = new Map<string, Costs>();

  constructor(directory: string, scenario: string) {
    this.#directory = resolve(directory);
    this.#scenario = scenario;
    mkdirSync(this.#directory, { recursive: true });
  }

  /** Those of the last run of each subject. */
  get costs(): Costs[] {
    return [...this.#costs.values()];
  }

  async start(subjects: readonly Profiled[]): Promise<void> {
    await Promise.all(subjects.map(subject => subject.startProfile()));
  }

  async stop(subjects: readonly Profiled[]): Promise<void> {
    for (const subject of subjects) {
      const name = `${this.#scenario}-${subject.name}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
      const file = join(this.#directory, `${name}.cpuprofile`);
      await subject.stopProfile(file);
      this.#costs.set(subject.name, costsOf(subject.name, JSON.parse(readFileSync(file, 'utf8')) as CpuProfile));
    }
  }
}
