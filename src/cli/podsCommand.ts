import type { PodState } from '../engine/pods/podMessage.js';
import { BACKEND_HELP, BACKEND_OPTIONS, type Command, COMMON_HELP, type Invocation } from './command.js';
import { Fleet } from './fleet.js';
import { openStorage } from './openStorage.js';
import { duration } from './sessionList.js';
import { milliseconds, storageOptions } from './storage.js';
import { age, bytes, harmless, type Paint, table } from './terminal.js';
import { CommandError, EXIT, UsageError } from './usage.js';

const HELP = `Lists the pods that serve now. They are asked over the bus, and each answers for itself.

Usage:
  npx mcp-sdk-anypod pods [options]
  npx mcp-sdk-anypod pods drain INSTANCE [--delay D] [--drain D] [--force] [options]

drain is handler.close({ delayMs, drainMs }) on that pod: its readiness becomes false at once, it serves for --delay
more, then hands its streams over and finishes what is open. It cannot be undone, and the process goes on without
serving: start it anew afterwards (kubectl delete pod).

A pod is listed from its first request on. Pods of releases before this program do not answer, nor do pods whose bus
is signed (signSessionBus): this program does not have the key.

Options:
  --wait MS          how long to wait for the first answer (default 1000)
  --delay DURATION   drain: serve for this long until balancers have noticed (default 5s)
  --drain DURATION   drain: let open requests finish for at most this long (default 30s)
  --force            drain: even if no other pod serves
${COMMON_HELP}

${BACKEND_HELP}

Exit codes: 1 if no pod answers.

Examples:
  npx mcp-sdk-anypod pods
  npx mcp-sdk-anypod pods drain 3f2b9c41 --delay 10s
  npx mcp-sdk-anypod pods --json | jq '[.pods[].inFlight] | add'`;

export const POD_TITLES = [
  'INSTANCE',
  'HOST',
  'STATE',
  'UP',
  'SESSIONS',
  'STREAMS',
  'IN FLIGHT',
  'RECOVERIES',
  'MEMORY',
  'VERSION'
] as const;
export const POD_NUMBERS = ['SESSIONS', 'STREAMS', 'IN FLIGHT', 'RECOVERIES', 'MEMORY'];
export const DEFAULT_WAIT_MS = 1000;
const DEFAULT_DELAY_MS = 5000;
const DEFAULT_DRAIN_MS = 30_000;

export const podsCommand: Command = {
  help: HELP,
  options: {
    ...BACKEND_OPTIONS,
    wait: { type: 'string' },
    delay: { type: 'string' },
    drain: { type: 'string' },
    force: { type: 'boolean' }
  },
  async run(invocation) {
    const { positionals, values, streams } = invocation;
    const [action, instance, ...rest] = positionals;
    const isDrain = action === 'drain' && instance !== undefined && rest.length === 0;
    if (action !== undefined && !isDrain) {
      throw new UsageError('pods takes nothing, or drain INSTANCE: see npx mcp-sdk-anypod pods --help');
    }
    const waitMs = milliseconds('wait', values.wait as string | undefined, DEFAULT_WAIT_MS);
    const times = { delayMs: timeOf(invocation, 'delay'), drainMs: timeOf(invocation, 'drain') };
    const storage = await openStorage(storageOptions(values, streams.env));
    try {
      const fleet = await Fleet.join(storage.bus);
      const pods = await fleet.ask(waitMs, invocation.signal);
      if (isDrain) return await drain(fleet, pods, instance, { ...times, waitMs }, invocation);
      return show(pods, storage.shown, invocation);
    } finally {
      await storage.close();
    }
  }
};

function timeOf({ values }: Invocation, name: 'delay' | 'drain'): number {
  const otherwise = name === 'delay' ? DEFAULT_DELAY_MS : DEFAULT_DRAIN_MS;
  return duration(name, values[name] as string | undefined) ?? otherwise;
}

/** Why there is no answer, and what to do. */
export function noPods(shown: string): string {
  return (
    `no pod answers on ${shown}: none has served a request yet, ` +
    '--url or --prefix (or the database number) names another store, or the pods have an older release or a signed bus'
  );
}

function show(pods: readonly PodState[], shown: string, { json, print, paint }: Invocation): number {
  if (json) print(JSON.stringify({ pods }, undefined, 2));
  else if (pods.length === 0) throw new CommandError(noPods(shown));
  else
    for (const line of table(
      POD_TITLES,
      pods.map(pod => podRow(pod, paint)),
      POD_NUMBERS
    ))
      print(line);
  return pods.length === 0 ? EXIT.missing : EXIT.ok;
}

export function podRow(pod: PodState, paint: Paint): string[] {
  const full = pod.liveSessions >= pod.maxLiveSessions;
  const state = full && pod.state === 'serving' ? 'full' : pod.state;
  return [
    harmless(pod.instance),
    harmless(pod.namespace === undefined ? pod.host : `${pod.host} (${pod.namespace})`),
    paint(state === 'serving' ? 'green' : 'yellow', harmless(state)),
    age(pod.uptimeMs),
    String(pod.liveSessions),
    String(pod.attachedStreams),
    String(pod.inFlight),
    String(pod.recoveries),
    pod.rssBytes === 0 ? '-' : bytes(pod.rssBytes),
    harmless([pod.version || '-', pod.sdkVersion && `SDK ${pod.sdkVersion}`].filter(Boolean).join(', '))
  ];
}

interface DrainTimes {
  delayMs: number;
  drainMs: number;
  waitMs: number;
}

async function drain(
  fleet: Fleet,
  pods: readonly PodState[],
  name: string,
  { delayMs, drainMs, waitMs }: DrainTimes,
  { values, json, print }: Invocation
): Promise<number> {
  const pod = pods.find(({ instance }) => instance === name);
  if (!pod) {
    const known = pods.map(({ instance }) => instance).join(', ') || 'none';
    throw new CommandError(`no pod ${harmless(name.slice(0, 40))} answers; these do: ${harmless(known)}`);
  }
  const others = pods.filter(({ instance, state }) => instance !== name && state === 'serving');
  if (others.length === 0 && values.force !== true) {
    throw new CommandError('no other pod serves: start one first, or give --force. Nothing was changed');
  }
  const state = await fleet.drain(name, delayMs, drainMs, waitMs);
  if (!state) {
    throw new CommandError(
      `the pod ${name} was asked to drain and did not answer within ${waitMs} ms: if it stands still, it drains when it ` +
        'goes on. Look with npx mcp-sdk-anypod pods'
    );
  }
  if (json) print(JSON.stringify({ pod: state }, undefined, 2));
  else print(`pod ${harmless(name)} on ${harmless(state.host)} is ${state.state}: it serves for ${age(delayMs)} more`);
  return EXIT.ok;
}
