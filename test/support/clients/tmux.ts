import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A program in a real terminal. */
export interface Terminal {
  /** What the terminal shows now. @param colours - with the codes of the colours */
  screen(colours?: boolean): Promise<string>;
  /** Presses keys, as tmux names them: `q`, `C-c`, `Enter`. */
  press(...keys: string[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a shell in a tmux of its own, and a command in that shell. The prompt is `$ `, so that a test sees when the
 * command has ended.
 */
export async function openTerminal(command: string, columns = 120, rows = 30): Promise<Terminal> {
  const folder = await mkdtemp(join(tmpdir(), 'anypod-tmux-'));
  const tmux = (...args: string[]) => run('tmux', ['-S', join(folder, 'socket'), '-f', '/dev/null', ...args]);
  const size = ['-x', String(columns), '-y', String(rows)];
  // A shell of the user could print a greeting, and its prompt differs.
  await tmux('new-session', '-d', ...size, 'env PS1="$ " LC_ALL=C.UTF-8 bash --norc --noprofile -i');
  await tmux('send-keys', '-l', command);
  await tmux('send-keys', 'Enter');
  return {
    async screen(colours = false) {
      const { stdout } = await tmux('capture-pane', '-p', ...(colours ? ['-e'] : []));
      return stdout;
    },
    async press(...keys) {
      await tmux('send-keys', ...keys);
    },
    async close() {
      await tmux('kill-server');
      await rm(folder, { recursive: true, force: true });
    }
  };
}
