/** `fatal`: the backend cannot serve sessions. `note`: worth knowing, nothing to do. */
export type Level = 'ok' | 'note' | 'warning' | 'fatal';

/** One result of `doctor`. */
export interface Finding {
  /** A short name that is stable across releases, for scripts: `eviction`. */
  readonly check: string;
  readonly level: Level;
  /** What was seen. */
  readonly what: string;
  /** Why it matters. */
  readonly why?: string;
  /** What to type or to change. */
  readonly fix?: string;
}

/** Why a finding matters, and what to do. */
export interface Advice {
  readonly why: string;
  readonly fix: string;
}

/** Collects the findings of one run. */
export class Findings {
  readonly all: Finding[] = [];

  ok(check: string, what: string): void {
    this.all.push({ check, level: 'ok', what });
  }

  note(check: string, what: string, why?: string): void {
    this.all.push({ check, level: 'note', what, why });
  }

  warning(check: string, what: string, advice: Advice): void {
    this.all.push({ check, level: 'warning', what, ...advice });
  }

  fatal(check: string, what: string, advice: Advice): void {
    this.all.push({ check, level: 'fatal', what, ...advice });
  }

  has(level: Level): boolean {
    return this.all.some(finding => finding.level === level);
  }
}
