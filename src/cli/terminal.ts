import type { Writable } from 'node:stream';

/** Where a command writes, and the variables that it reads. */
export interface Streams {
  readonly stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  readonly stderr: Writable;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;

/** Colours a text, or returns it unchanged. */
export type Paint = (colour: keyof typeof CODES, text: string) => string;

/** Colours only on a terminal, and not if `NO_COLOR` is set: see no-color.org. */
export function paintFor({ stdout, env }: Streams): Paint {
  const coloured = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  return (colour, text) => (coloured ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text);
}

/** Colour codes take no place on the screen. */
// eslint-disable-next-line no-control-regex
const COLOUR = /\u001b\[\d+m/g;

function widthOf(text: string): number {
  return text.replace(COLOUR, '').length;
}

/**
 * Lines with aligned columns, three spaces apart, under a line of titles, as kubectl writes them.
 * @param right - the columns that are aligned on the right, by their titles
 */
export function table(titles: readonly string[], rows: readonly (readonly string[])[], right: readonly string[] = []) {
  const widths = titles.map((title, column) => Math.max(title.length, ...rows.map(row => widthOf(row[column] ?? ''))));
  return [titles, ...rows].map(row =>
    row
      .map((text, column) => {
        const space = ' '.repeat((widths[column] ?? 0) - widthOf(text));
        return right.includes(titles[column] ?? '') ? space + text : text + space;
      })
      .join('   ')
      .trimEnd()
  );
}

/** A duration as kubectl shows ages: `12s`, `5m10s`, `3h4m`, `9d`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  return `${Math.floor(hours / 24)}d`;
}

/** `812 B`, `1.5 MiB` */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/**
 * A text of a client or a backend, for a terminal: control characters could move the cursor or change colours, and
 * a line break could fake a row.
 */
export function harmless(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}
