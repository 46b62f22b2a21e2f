import { expectedOf, withoutOwnReports } from './allowedDifferences.js';
import { comparable, expectedOfV2 } from './allowedDifferencesV2.js';
import { closeNodeEndpoint } from './endpoints.js';
import { play, type Transcript } from './harness.js';
import { normalise } from './normalise.js';
import type { Script } from './script.js';
import { understandsPriming } from '../../src/engine/streams/sse.js';
import { oracles, type Subject, subjects } from './subjects.js';
import { oraclesV2, subjectsV2 } from './subjectsV2.js';

afterAll(closeNodeEndpoint);

export interface Case extends Script {
  /** The statuses of the stock transport's answers, so that a case cannot be about nothing. */
  statuses: (number | undefined)[];
  /** What else the stock transport shows. */
  shows?: (stock: Transcript) => void;
  /** @default both */
  adapter?: Subject['adapter'];
  /** @default both; an allowed difference demonstrates what the other mode shows */
  mode?: Subject['mode'];
  /** @default both; the stock transports of the two versions differ */
  sdk?: Subject['sdk'];
}

/** One test per subject: what it shows is what the stock transport of the same adapter shows. */
export function sameAsStock(title: string, { statuses, shows, adapter, mode, sdk, ...script }: Case): void {
  describe(title, () => {
    for (const subject of [...subjects, ...subjectsV2]) {
      if (adapter && subject.adapter !== adapter) continue;
      if (mode && subject.mode !== mode) continue;
      if (sdk && subject.sdk !== sdk) continue;
      if (!isComparable(script, subject)) continue;
      it(`is the same (${subject.name})`, async () => {
        const stock = normalise(await play(script, oracleOf(subject)));
        expect(stock.exchanges.map(each => each.status)).toEqual(statuses);
        expect(stock.late).toEqual([]);
        shows?.(stock);
        await expectSame(script, subject, stock);
      });
    }
  });
}

/** Whether a script shows only what a subject has in common with the stock transport, or what can be told from it. */
export function isComparable(script: Script, { mode }: Subject): boolean {
  if (mode !== 'external') return true;
  // Difference 8: in external mode there are always sessions.
  if (script.options?.sessions === 'none') return false;
  // Difference 7: in external mode a session that onsessioninitialized refuses is over.
  const { onsessioninitialized } = script.options ?? {};
  if (onsessioninitialized === 'throws' || onsessioninitialized === 'rejects') return false;
  // Difference 16: a resumed stream begins with its cursor and ends with its last answer.
  const resumes = (step: Script['steps'][number]) =>
    step.do === 'exchange' && step.request.headers.some(([name]) => name.toLowerCase() === 'last-event-id');
  // Difference 28: a GET stream begins with a cursor.
  return script.options?.eventStore === undefined || !script.steps.some(step => resumes(step) || opensWithCursor(step));
}

function opensWithCursor(step: Script['steps'][number]): boolean {
  if (step.do !== 'exchange' || step.request.method !== 'GET') return false;
  return step.request.headers.some(([name, value]) => {
    return name.toLowerCase() === 'mcp-protocol-version' && understandsPriming(value);
  });
}

/** The stock transport that a subject is compared with. */
export function oracleOf({ adapter, sdk }: Subject): Subject {
  return sdk === 1 ? oracles[adapter] : oraclesV2[adapter];
}

export async function expectSame(script: Script, subject: Subject, stock: Transcript): Promise<void> {
  const shown = withoutOwnReports(normalise(await play(script, subject)));
  const isV1 = subject.sdk === 1;
  const wanted = expectedOf(subject, script, isV1 ? stock : expectedOfV2(stock));
  const [ours, expected] = isV1 ? [shown, wanted] : [shown, wanted].map(each => comparable(each, stock, script));
  // Text is compared faster by far; what it says about a difference is nothing.
  if (JSON.stringify(ours) !== JSON.stringify(expected)) expect(ours).toEqual(expected);
}
