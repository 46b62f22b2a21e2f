import pc from 'picocolors';

/** One result that the demo must observe to succeed. */
export interface Check {
  readonly claim: string;
  observed: boolean;
  /** The observation. */
  seen: string;
}

const columns = [13, 7, 10];
let section = 0;

export function title(name: string, facts: Record<string, string>): void {
  print(`\n${pc.bold(name)}\n`);
  for (const [fact, text] of Object.entries(facts)) print(`   ${pc.dim(fact.padEnd(columns[0]!))}${text}`);
}

export function heading(text: string): void {
  print(`\n${pc.cyan(String(++section))}  ${pc.bold(text)}\n`);
}

/** One event on a pod: the call, the pod, the session and the outcome, in columns. */
export function row(call: string, pod: string, session: string, outcome: string, bad = false): void {
  const cells = [call, pod, session].map((cell, index) => cell.padEnd(columns[index]!));
  const [what = '', where = '', whose = ''] = cells;
  print(`   ${what}${pc.magenta(where)}${pc.dim(whose)}${bad ? pc.red(`✗ ${outcome}`) : outcome}`);
}

export function note(text: string): void {
  print(`   ${pc.dim(text)}`);
}

export function summary(checks: readonly Check[]): void {
  const width = Math.max(...checks.map(check => check.claim.length)) + 3;
  print('');
  for (const { claim, observed, seen } of checks) {
    print(`   ${observed ? pc.green('✓') : pc.red('✗')} ${claim.padEnd(width)}${pc.dim(seen)}`);
  }
  const failed = checks.filter(check => !check.observed).length;
  print(
    failed === 0
      ? pc.green(`\n   Every check passed.\n`)
      : pc.red(`\n   Failed: ${failed} of ${checks.length} checks.\n`)
  );
}

export function print(line: string): void {
  console.log(line);
}
