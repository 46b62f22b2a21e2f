/** The exit codes of every command. They are part of the interface: scripts and probes depend on them. */
export const EXIT = {
  /** Done; for `doctor`: nothing to improve. */
  ok: 0,
  /** What was asked for does not exist; for `doctor`: warnings. */
  missing: 1,
  /** The backend cannot be used; for `doctor`: it cannot serve sessions. */
  unusable: 2,
  /** The command line is wrong. Nothing was done. */
  usage: 64
} as const;

/** The command line is wrong. Its message says what to type. */
export class UsageError extends Error {}

/** What was asked for cannot be done: the message is all that the user sees. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.missing) {
    super(message);
    this.exitCode = exitCode;
  }
}
