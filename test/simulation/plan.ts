import { Random } from '../soak/random.js';
import type { BusVersion } from './busVersions.js';
import type { Tool } from './client.js';
import type { LinkState, Service } from './services.js';

/** What happens in one history, and when. Latencies, and the pod of each request, are drawn as it is played. */
export interface Plan {
  readonly seed: number;
  readonly pods: readonly PodPlan[];
  readonly clients: readonly ClientPlan[];
  readonly takeover: boolean;
  readonly sessionFreshnessMs: number;
  /** When pods forget a session that nobody uses; 0: never. */
  readonly idleTimeoutMs: number;
  readonly maxLiveSessions: number;
  readonly ttlSeconds: number;
  /** Events that the log keeps per stream. */
  readonly logKeeps: number;
  /** Whether the session store has only the five required methods. */
  readonly fiveMethods: boolean;
  /** How long servers take for the log level and for subscriptions: so long does a recovery last. They are built in a third. */
  readonly settingMs: number;
  readonly steps: readonly Step[];
}

export interface PodPlan {
  readonly log: boolean;
  /** The optional methods of its log: `start` is `startEventId`, `all` has `storeOnlyEvent` too. @default none of these two */
  readonly logMethods?: LogMethods;
  readonly leaseMs: number;
  readonly version: BusVersion;
}

export type LogMethods = 'start' | 'all';

export interface ClientPlan {
  readonly opensAt: number;
  readonly version: string;
  /** Whether it sends each of its answers twice. */
  readonly repeats: boolean;
}

export type Step = { readonly at: number } & (
  | { readonly kind: 'call'; client: number; tool: Tool; ms: number; count: number }
  | { readonly kind: ClientStep; client: number }
  | { readonly kind: 'kill' | 'drain' | 'add'; pod: number }
  /** Kills a pod that runs a request of this client. */
  | { readonly kind: 'killOwner'; client: number }
  | { readonly kind: 'pause'; pod: number; ms: number }
  | { readonly kind: 'skew'; pod: number; ms: number }
  /** `pod` -1: the service fails for all pods. */
  | { readonly kind: 'link'; pod: number; service: Service; state: LinkState; ms: number }
  | { readonly kind: 'failover'; ms: number }
  | { readonly kind: 'logLoss' }
);

/** What clients do besides calls. */
export type ClientStep =
  | 'listen'
  | 'listenTwice'
  | 'cutStandalone'
  | 'cutCalls'
  | 'retry'
  | 'cancel'
  | 'setLevel'
  | 'subscribe'
  | 'notify'
  | 'end'
  | 'endTwice';

export const SESSION_MS = 20_000;

const VARIATIONS = 20;
const TOOLS: readonly Tool[] = ['echo', 'echo', 'slow', 'progress', 'ask', 'ask', 'askAlone', 'tell', 'tell'];
const STATES: readonly LinkState[] = ['refused', 'blackhole', 'answersLost', 'slow', 'late', 'flaky', 'once'];
const STATES_OF: Record<Service, readonly LinkState[]> = {
  store: [...STATES, 'full'],
  log: [...STATES, 'full'],
  bus: [...STATES, 'doubled']
};

export function planOf(seed: number): Plan {
  const random = new Random(seed ^ 0x5eed);
  const hasLog = random.chance(0.65);
  const leaseMs = random.of([1000, 5000]);
  const isMixed = random.chance(0.15);
  const pods = Array.from({ length: random.between(2, 5) }, (_, index) =>
    isMixed && index === 1
      ? {
          log: hasLog && random.chance(0.6),
          leaseMs: random.of([1000, 5000, 20_000]),
          version: random.of(['current', 'older', 'newer'] as const)
        }
      : { log: hasLog, leaseMs, version: 'current' as const }
  );
  addLogMethods(new Random(seed ^ 0x106), pods);
  const clients = Array.from({ length: random.between(1, 4) }, () => ({
    opensAt: random.chance(0.6) ? 0 : random.below(SESSION_MS / 2),
    version: random.chance(0.85) ? '2025-11-25' : '2025-06-18',
    repeats: random.chance(0.15)
  }));
  const steps = [
    ...clients.flatMap(({ opensAt }, client) => clientSteps(random, client, opensAt, pods.length)),
    // One history in three has no fault of a pod or a service at all: there the strictest laws hold.
    ...(random.chance(0.33) ? rolling(random, pods.length) : faults(random, pods.length, clients.length))
  ].sort((a, b) => a.at - b.at);
  return {
    seed,
    pods,
    clients,
    takeover: random.chance(0.75),
    sessionFreshnessMs: random.of([0, 0, 1000]),
    idleTimeoutMs: random.of([0, 0, 1000, 3000]),
    maxLiveSessions: random.chance(0.1) ? 2 : 1000,
    ttlSeconds: random.chance(0.12) ? random.between(3, 7) : 600,
    logKeeps: random.chance(0.08) ? 3 : 1000,
    fiveMethods: random.chance(0.12),
    settingMs: random.of([0, 30, 150]),
    steps
  };
}

/** Most fleets have the same log on every pod. In the others, one pod is of a release whose log has other methods. */
function addLogMethods(random: Random, pods: { log: boolean; logMethods?: LogMethods }[]): void {
  const draw = (): { logMethods?: LogMethods } =>
    random.of([{}, { logMethods: 'start' }, { logMethods: 'all' }] as const);
  const ofFleet = draw();
  const other = random.chance(0.2) ? random.below(pods.length) : -1;
  for (const [index, pod] of pods.entries()) if (pod.log) Object.assign(pod, index === other ? draw() : ofFleet);
}

/**
 * The plan with other latencies and choices: the faults of a plan are often a matter of a few milliseconds, which any
 * change of the product moves.
 */
export function variationsOf(plan: Plan): Plan[] {
  return Array.from({ length: VARIATIONS }, (_, index) => ({ ...plan, seed: plan.seed + index * 1_000_003 }));
}

function at(random: Random): number {
  return random.below(SESSION_MS);
}

function clientSteps(random: Random, client: number, opensAt: number, pods: number): Step[] {
  const steps: Step[] = [];
  const act = (kind: ClientStep, share: number, most = 1): void => {
    for (let i = most; i > 0; i--) if (random.chance(share)) steps.push({ at: at(random), kind, client });
  };
  const call = (instant: number, tool = random.of(TOOLS)): Step => ({
    at: instant,
    kind: 'call',
    client,
    tool,
    ms: random.between(10, 4000),
    count: random.between(1, 4)
  });
  if (random.chance(0.85)) {
    const listen = random.below(2000);
    steps.push({ at: listen, kind: 'listen', client });
    // The SDK's client sends its GET and its first call at once.
    if (random.chance(0.5)) steps.push(call(listen, 'askAlone'));
  }
  for (let i = random.between(3, 10); i > 0; i--) steps.push(call(at(random)));
  // Requests of one instant, which meet on pods that do not have the session.
  if (random.chance(0.5)) {
    const instant = at(random);
    for (let i = random.between(2, 6); i > 0; i--) steps.push(call(instant + random.below(20)));
    if (random.chance(0.6)) steps.push({ at: instant + random.below(60), kind: 'notify', client });
  }
  // A connection that breaks while much is sent, and breaks again where the client has come back.
  if (random.chance(0.35)) {
    const instant = at(random);
    const ms = random.between(800, 4000);
    steps.push({ at: instant, kind: 'call', client, tool: 'progress', ms, count: random.between(10, 60) });
    for (let i = random.between(1, 4); i > 0; i--) {
      steps.push({ at: instant + random.between(100, ms), kind: 'cutCalls', client });
    }
  }
  act('cutStandalone', 0.4, 2);
  act('cutCalls', 0.4, 2);
  act('listenTwice', 0.2);
  act('retry', 0.2);
  act('cancel', 0.3);
  act('setLevel', 0.3, 2);
  act('subscribe', 0.2, 2);
  act('notify', 0.3, 2);
  if (random.chance(0.25)) {
    const end = random.between(SESSION_MS / 2, SESSION_MS);
    steps.push({ at: end, kind: random.chance(0.3) ? 'endTwice' : 'end', client });
    if (random.chance(0.3)) steps.push(storeFault(random, end, pods));
  }
  if (random.chance(0.1)) steps.push(storeFault(random, opensAt, pods));
  return steps;
}

/** The store fails while a session begins or ends. */
function storeFault(random: Random, instant: number, pods: number): Step {
  const from = Math.max(0, instant - random.below(400));
  if (random.chance(0.2)) return { at: from + random.below(600), kind: 'failover', ms: random.between(50, 1500) };
  return {
    at: from,
    kind: 'link',
    pod: random.below(pods),
    service: 'store',
    state: random.of(STATES_OF.store),
    ms: random.between(200, 6000)
  };
}

/** What must not disturb anybody: pods that come and go in order, and clocks that jump. */
function rolling(random: Random, pods: number): Step[] {
  const steps: Step[] = [];
  if (random.chance(0.3)) steps.push(skew(random, pods));
  if (random.chance(0.4)) {
    const instant = at(random);
    const pod = random.below(pods);
    steps.push({ at: instant, kind: 'add', pod }, { at: instant + random.below(500), kind: 'drain', pod });
  }
  return steps;
}

function skew(random: Random, pods: number): Step {
  return { at: at(random), kind: 'skew', pod: random.below(pods), ms: random.between(-3_600_000, 3_600_000) };
}

/** The client of a request comes back on another pod, and then the pod dies that runs the request. */
function deathOfOwner(random: Random, client: number): Step[] {
  const instant = at(random);
  return [
    { at: instant, kind: 'call', client, tool: random.of(['slow', 'progress'] as const), ms: 4000, count: 3 },
    { at: instant + random.between(100, 1000), kind: 'cutCalls', client },
    { at: instant + random.between(500, 3000), kind: 'killOwner', client },
    { at: instant + 3000, kind: 'add', pod: 0 }
  ];
}

function faults(random: Random, pods: number, clients: number): Step[] {
  const steps: Step[] = [];
  for (let i = random.between(1, 6); i > 0; i--) {
    const pod = random.below(pods);
    switch (random.below(9)) {
      case 0:
        steps.push({ at: at(random), kind: 'kill', pod }, { at: at(random), kind: 'add', pod });
        break;
      case 8:
        steps.push(...deathOfOwner(random, random.below(clients)));
        break;
      case 1:
        steps.push({ at: at(random), kind: 'drain', pod }, { at: at(random), kind: 'add', pod });
        break;
      case 2:
        steps.push({ at: at(random), kind: 'pause', pod, ms: random.between(500, 9000) });
        break;
      case 3:
        steps.push(skew(random, pods));
        break;
      case 4:
        steps.push(
          random.chance(0.5)
            ? { at: at(random), kind: 'failover', ms: random.between(50, 3000) }
            : { at: at(random), kind: 'logLoss' }
        );
        break;
      default: {
        const service = random.of(['store', 'bus', 'log'] as const);
        const state = random.of(STATES_OF[service]);
        const where = random.chance(0.3) ? -1 : pod;
        steps.push({ at: at(random), kind: 'link', pod: where, service, state, ms: random.between(200, 6000) });
      }
    }
  }
  return steps;
}
