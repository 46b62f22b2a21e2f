import { dot, plot, ruleX, ruleY } from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { format, goalOf } from './report.js';
import type { Row } from './scenario.js';

interface Mark {
  measure: string;
  value: number;
  min: number;
  max: number;
  isReached: boolean;
}

/**
 * An SVG of the measures that have a goal. The line in the middle is the goal, on a logarithmic axis; what is better stands
 * on its right. The bars are the spread of single rounds.
 */
export function svgOf(rows: readonly Row[], machine: string): string {
  const marks = rows.flatMap(row => markOf(row) ?? []);
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const figure = plot({
    document,
    width: 1000,
    height: 80 + 26 * marks.length,
    marginLeft: 620,
    style: { background: 'white', fontSize: '12px' },
    caption: machine,
    x: { type: 'log', label: 'times the goal', grid: true, tickFormat: (times: number) => `${times}×` },
    y: { label: null, domain: marks.map(({ measure }) => measure) },
    color: { domain: [true, false], range: ['#1a7f37', '#bc4c00'] },
    marks: [
      ruleX([1], { stroke: '#57606a' }),
      ruleY(marks, { y: 'measure', x1: 'min', x2: 'max', stroke: 'isReached', strokeWidth: 3, strokeOpacity: 0.4 }),
      dot(marks, { y: 'measure', x: 'value', fill: 'isReached', r: 5 })
    ]
  });
  const svg = figure.tagName.toLowerCase() === 'svg' ? figure : figure.querySelector('svg')!;
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return `${svg.outerHTML}\n`;
}

/** Undefined if the row has no goal, or if a round gave no positive value. */
function markOf(row: Row): Mark | undefined {
  const { goal, median, min, max, unit } = row;
  if (!goal || !(min > 0)) return undefined;
  const measure = `${row.measure}: ${format(median)}${unit && ` ${unit}`}, ${goalOf(row)}`;
  if ('atLeast' in goal) {
    const value = median / goal.atLeast;
    return { measure, value, min: min / goal.atLeast, max: max / goal.atLeast, isReached: value >= 1 };
  }
  const value = goal.atMost / median;
  return { measure, value, min: goal.atMost / max, max: goal.atMost / min, isReached: value >= 1 };
}
