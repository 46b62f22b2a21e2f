import { expectedOf, withoutOwnReports } from './allowedDifferences.js';
import { closeNodeEndpoint } from './endpoints.js';
import { play, type Transcript } from './harness.js';
import { normalise } from './normalise.js';
import type { Script } from './script.js';
import { understandsPriming } from '../../src/engine/streams/sse.js';
import { oracles, type Subject, subjects } from './subjects.js';

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
}

/** One test per subject: what it shows is what the stock transport of the same adapter shows. */
export function sameAsStock(title: string, { statuses, shows, adapter, mode, ...script }: Case): void {
  describe(title, () => {
    for (const subject of subjects) {
      if (adapter && subject.adapter !== adapter) continue;
      if (mode && subject.mode !== mode) continue;
      if (!isComparable(script, subject)) continue;
      it(`is the same (${subject.name})`, async () => {
        const stock = normalise(await play(script, oracles[subject.adapter]));
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

export async function expectSame(script: Script, subject: Subject, stock: Transcript): Promise<void> {
  const ours = withoutOwnReports(normalise(await play(script, subject)));
  const expected = expectedOf(subject, script, stock);
  // Text is compared faster by far; what it says about a difference is nothing.
  if (JSON.stringify(ours) !== JSON.stringify(expected)) expect(ours).toEqual(expected);
}
