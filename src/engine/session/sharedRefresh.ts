import { unref } from '../../deadline.js';
import type { SessionData } from '../../ports/sessionStore.js';
import { clearTimeout, setTimeout } from '../../timers.js';

/** The maximum number of sessions in one call. */
const MAX_TOGETHER = 500;

interface Question {
  readonly known: SessionData;
  readonly resolve: (isUnchanged: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** Asks the store about sessions that only have a stream: in one call about all that are due within `waitMs`. */
export class SharedRefresh {
  readonly #ask: (known: readonly SessionData[]) => Promise<readonly boolean[]>;
  readonly #waitMs: number;
  #due: Question[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ask: (known: readonly SessionData[]) => Promise<readonly boolean[]>, waitMs: number) {
    this.#ask = ask;
    this.#waitMs = waitMs;
  }

  /**
   * Restarts the time to live of a session.
   * @returns whether it exists and is unchanged; if not, its time to live is as before
   */
  isUnchanged(known: SessionData): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#due.push({ known, resolve, reject });
      if (this.#due.length >= MAX_TOGETHER) return void this.#askAll();
      this.#timer ??= setTimeout(() => void this.#askAll(), this.#waitMs);
      unref(this.#timer);
    });
  }

  async #askAll(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const questions = this.#due;
    this.#due = [];
    try {
      const answers = await this.#ask(questions.map(({ known }) => known));
      questions.forEach(({ resolve }, index) => resolve(answers[index] === true));
    } catch (error) {
      for (const { reject } of questions) reject(error as Error);
    }
  }
}
