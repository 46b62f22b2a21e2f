import type { Paint } from '../terminal.js';

/** One result that the demo must observe to succeed. */
export interface Check {
  readonly claim: string;
  observed: boolean;
  /** The observation. */
  seen: string;
}

const columns = [13, 7, 10];

/** The terminal on which the story is told. */
export class Screen {
  readonly #write: (line: string) => void;
  readonly #paint: Paint;
  #section = 0;

  constructor(write: (line: string) => void, paint: Paint) {
    this.#write = write;
    this.#paint = paint;
  }

  /** A screen that shows nothing. */
  muted(): Screen {
    return new Screen(() => {}, this.#paint);
  }

  print(line: string): void {
    this.#write(line);
  }

  title(name: string, facts: Record<string, string>): void {
    this.print(`\n${this.#paint('bold', name)}\n`);
    for (const [fact, text] of Object.entries(facts)) {
      this.print(`   ${this.#paint('dim', fact.padEnd(columns[0]!))}${text}`);
    }
  }

  heading(text: string): void {
    this.print(`\n${this.#paint('cyan', String(++this.#section))}  ${this.#paint('bold', text)}\n`);
  }

  /** One event on a pod: the call, the pod, the session and the outcome, in columns. */
  row(call: string, pod: string, session: string, outcome: string, bad = false): void {
    const cells = [call, pod, session].map((cell, index) => cell.padEnd(columns[index]!));
    const [what = '', where = '', whose = ''] = cells;
    const end = bad ? this.#paint('red', `✗ ${outcome}`) : outcome;
    this.print(`   ${what}${this.#paint('magenta', where)}${this.#paint('dim', whose)}${end}`);
  }

  note(text: string): void {
    this.print(`   ${this.#paint('dim', text)}`);
  }

  /** @param others - the same checks with the stock SDK, for a second column */
  summary(checks: readonly Check[], others?: readonly Check[]): void {
    const width = Math.max(...checks.map(check => check.claim.length)) + 3;
    const seenWidth = Math.max(...checks.map(check => check.seen.length)) + 3;
    this.print('');
    if (others) {
      const titles = `  ${''.padEnd(width)}${'mcp-sdk-anypod'.padEnd(seenWidth)}  stock SDK`;
      this.print(`   ${this.#paint('bold', titles)}`);
    }
    for (const [index, { claim, observed, seen }] of checks.entries()) {
      const other = others?.[index];
      const space = ''.padEnd(seenWidth - seen.length);
      const beside = other ? `${space}${this.#mark(other.observed)} ${this.#paint('dim', other.seen)}` : '';
      this.print(`   ${this.#mark(observed)} ${claim.padEnd(width)}${this.#paint('dim', seen)}${beside}`);
    }
    const passed = checks.filter(check => check.observed).length;
    const text = `\n   ${passed} of ${checks.length} checks passed.\n`;
    this.print(this.#paint(passed === checks.length ? 'green' : 'red', text));
  }

  #mark(observed: boolean): string {
    return observed ? this.#paint('green', '✓') : this.#paint('red', '✗');
  }
}
