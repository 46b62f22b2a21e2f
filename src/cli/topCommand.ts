import type { PodState } from '../engine/pods/podMessage.js';
import { Date, performance } from '../timers.js';
import { BACKEND_HELP, BACKEND_OPTIONS, type Command, COMMON_HELP, type Invocation } from './command.js';
import { Fleet } from './fleet.js';
import { openStorage } from './openStorage.js';
import { DEFAULT_WAIT_MS, noPods, POD_NUMBERS, POD_TITLES, podRow } from './podsCommand.js';
import { duration } from './sessionList.js';
import { untilNext } from './sessionsWatch.js';
import { storageOptions } from './storage.js';
import { table } from './terminal.js';
import { EXIT, UsageError } from './usage.js';

const HELP = `Shows the pods live, with the requests per second of each. Quit with q or Ctrl-C.

Usage: npx mcp-sdk-anypod top [options]

Without a terminal, or with --json, it prints a line of JSON for each look.

Options:
  --interval D       how often to look (default 1s)
  --count N          end after N looks
${COMMON_HELP}

${BACKEND_HELP}

Examples:
  npx mcp-sdk-anypod top
  npx mcp-sdk-anypod top --json --count 1 | jq .requestsPerSecond`;

const DEFAULT_INTERVAL_MS = 1000;
const MIN_INTERVAL_MS = 200;

/** The alternate screen, so that the terminal is as before afterwards; and no cursor. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

interface Rates {
  requests: number;
  recoveries: number;
}

export const topCommand: Command = {
  help: HELP,
  options: { ...BACKEND_OPTIONS, interval: { type: 'string' }, count: { type: 'string' } },
  async run(invocation) {
    const { positionals, values, streams, json } = invocation;
    if (positionals.length > 0) throw new UsageError('top takes no arguments');
    const intervalMs = duration('interval', values.interval as string | undefined) ?? DEFAULT_INTERVAL_MS;
    if (intervalMs < MIN_INTERVAL_MS) throw new UsageError(`--interval takes at least ${MIN_INTERVAL_MS / 1000}s`);
    const count = Number(values.count ?? Infinity);
    if (!(count >= 1)) throw new UsageError('--count takes a whole number above 0');
    const storage = await openStorage(storageOptions(values, streams.env));
    try {
      const fleet = await Fleet.join(storage.bus);
      const draws = !json && streams.stdout.isTTY === true;
      const look = { fleet, shown: storage.shown, intervalMs, count };
      return await (draws ? onScreen(look, invocation) : follow(look, invocation, invocation.signal, printLine));
    } finally {
      await storage.close();
    }
  }
};

interface Look {
  readonly fleet: Fleet;
  readonly shown: string;
  readonly intervalMs: number;
  readonly count: number;
}

type Draw = (pods: readonly PodState[], rates: ReadonlyMap<string, Rates>, look: Look, invocation: Invocation) => void;

/** Looks at the pods again and again. */
async function follow(look: Look, invocation: Invocation, signal: AbortSignal, draw: Draw): Promise<number> {
  let before = new Map<string, { pod: PodState; at: number }>();
  for (let turn = 0; turn < look.count && !signal.aborted; turn++) {
    const started = performance.now();
    const pods = await look.fleet.ask(Math.min(DEFAULT_WAIT_MS, look.intervalMs * 0.8), signal);
    if (signal.aborted) break;
    const now = performance.now();
    const rates = new Map<string, Rates>();
    for (const pod of pods) {
      const last = before.get(pod.instance);
      const seconds = last ? (pod.uptimeMs - last.pod.uptimeMs) / 1000 : 0;
      if (!last || seconds <= 0) continue;
      const perSecond = (count: 'requests' | 'recoveries'): number => (pod[count] - last.pod[count]) / seconds;
      rates.set(pod.instance, { requests: perSecond('requests'), recoveries: perSecond('recoveries') });
    }
    before = new Map(pods.map(pod => [pod.instance, { pod, at: now }]));
    draw(pods, rates, look, invocation);
    if (turn + 1 < look.count) await untilNext(Math.max(0, look.intervalMs - (performance.now() - started)), signal);
  }
  return EXIT.ok;
}

const printLine: Draw = (pods, rates, _look, { print }) => {
  const time = new Date().toISOString();
  print(JSON.stringify({ time, ...totals(pods, rates), pods }));
};

function totals(pods: readonly PodState[], rates: ReadonlyMap<string, Rates>) {
  const sum = (count: (pod: PodState) => number): number => pods.reduce((total, pod) => total + count(pod), 0);
  return {
    liveSessions: sum(pod => pod.liveSessions),
    attachedStreams: sum(pod => pod.attachedStreams),
    inFlight: sum(pod => pod.inFlight),
    requestsPerSecond: Math.round(sum(pod => rates.get(pod.instance)?.requests ?? 0) * 10) / 10
  };
}

/** Draws on the whole terminal, and leaves it as it was. */
async function onScreen(look: Look, invocation: Invocation): Promise<number> {
  const { stdout } = invocation.streams;
  const { stdin } = process;
  const quit = new AbortController();
  const signal = AbortSignal.any([invocation.signal, quit.signal]);
  const onKey = (keys: Buffer): void => {
    // In raw mode, Ctrl-C and Ctrl-D are keys.
    // eslint-disable-next-line no-control-regex
    if (/[qQ\u0003\u0004]/.test(keys.toString())) quit.abort();
  };
  const raw = stdin.isTTY;
  if (raw) stdin.setRawMode(true);
  stdin.on('data', onKey);
  stdout.write(ENTER);
  try {
    return await follow(look, invocation, signal, drawScreen);
  } finally {
    stdout.write(LEAVE);
    stdin.removeListener('data', onKey);
    if (raw) stdin.setRawMode(false);
    stdin.pause();
  }
}

const drawScreen: Draw = (pods, rates, { shown }, { streams, paint }) => {
  const { liveSessions, attachedStreams, inFlight, requestsPerSecond } = totals(pods, rates);
  const rate = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(1));
  const titles = [...POD_TITLES.slice(0, -2), 'REQ/S', 'REC/S', ...POD_TITLES.slice(-2)];
  const rows = pods.map(pod => {
    const row = podRow(pod, paint);
    const { requests, recoveries } = rates.get(pod.instance) ?? {};
    return [...row.slice(0, -2), rate(requests), rate(recoveries), ...row.slice(-2)];
  });
  const lines = [
    paint('bold', `${pods.length} pods on ${shown}   ${new Date().toISOString().slice(11, 19)}   (q quits)`),
    `${liveSessions} live sessions, ${attachedStreams} streams, ${inFlight} in flight, ${requestsPerSecond} requests/s`,
    '',
    ...(pods.length === 0 ? [noPods(shown)] : table(titles, rows, [...POD_NUMBERS, 'REQ/S', 'REC/S']))
  ];
  const { rows: height = 24, columns: width = 80 } = streams.stdout;
  const text = lines.slice(0, height - 1).map(line => fitted(line, width) + CLEAR_LINE);
  streams.stdout.write(HOME + text.join('\r\n') + CLEAR_BELOW);
};

/** Cuts a line to the width of the terminal; colour codes take no place. */
function fitted(line: string, width: number): string {
  let shown = 0;
  let text = '';
  // eslint-disable-next-line no-control-regex
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith('\u001b')) text += part;
    else {
      text += part.slice(0, Math.max(0, width - shown));
      shown += part.length;
    }
  }
  return text;
}
