import type { Database } from './database.js';
import { performance } from '../../timers.js';

/** Rows that one statement removes. */
export const SWEEP_BATCH = 200;

/**
 * Removes expired rows in the background. Use of the tables triggers it; no caller waits for it. Pods that sweep at the
 * same time skip each other's rows.
 */
export class Sweeper {
  readonly #database: Database;
  readonly #statements: readonly string[];
  readonly #everyMs: number;
  #due: number;
  #running: Promise<number> | undefined;

  /** @param statements - each removes at most {@link SWEEP_BATCH} rows and returns a row with their `count` */
  constructor(database: Database, statements: readonly string[], everyMs: number) {
    this.#database = database;
    this.#statements = statements;
    this.#everyMs = everyMs;
    // Pods that start together should not sweep together.
    this.#due = performance.now() + Math.random() * everyMs;
  }

  /** Sweeps if it is time to. */
  occasion(): void {
    if (this.#running || performance.now() < this.#due) return;
    this.run().catch((error: Error) =>
      this.#database.onLog('warn', `what has expired was not removed: ${error.message}`)
    );
  }

  /** Sweeps now, until nothing is left. @returns the number of removed rows */
  run(): Promise<number> {
    this.#running ??= this.#all().finally(() => {
      this.#running = undefined;
      this.#due = performance.now() + this.#everyMs;
    });
    return this.#running;
  }

  async #all(): Promise<number> {
    let total = 0;
    for (const statement of this.#statements) {
      let count: number;
      do {
        const [row] = await this.#database.query(statement);
        count = Number(row?.count);
        total += count;
      } while (count === SWEEP_BATCH);
    }
    return total;
  }
}
