import { Random } from '../soak/random.js';
import type { Tool } from './client.js';
import type { LinkState, Service } from './services.js';

/** What happens in one history, and when. Latencies, and the pod of each request, are drawn as it is played. */
export interface Plan {
  readonly seed: number;
  readonly pods: number;
  readonly clients: number;
  readonly log: boolean;
  readonly takeover: boolean;
  readonly leaseMs: number;
  readonly sessionFreshnessMs: number;
  /** When each client opens its session. */
  readonly opensAt?: readonly number[];
  readonly steps: readonly Step[];
}

export type Step = { readonly at: number } & (
  | { readonly kind: 'call'; client: number; tool: Tool; ms: number; count: number }
  | { readonly kind: 'listen' | 'cutStandalone' | 'cutCalls' | 'cancel' | 'setLevel' | 'end'; client: number }
  | { readonly kind: 'kill' | 'drain' | 'add'; pod: number }
  | { readonly kind: 'pause'; pod: number; ms: number }
  | { readonly kind: 'skew'; pod: number; ms: number }
  | { readonly kind: 'link'; pod: number; service: Service; state: LinkState; ms: number }
);

export const SESSION_MS = 20_000;

const TOOLS: readonly Tool[] = ['echo', 'echo', 'slow', 'progress', 'ask', 'ask', 'askAlone', 'tell', 'tell'];
const STATES: readonly LinkState[] = ['refused', 'blackhole', 'answersLost', 'slow', 'flaky'];
/** What the bus may do besides: deliver a message twice. */
const BUS_STATES: readonly LinkState[] = [...STATES, 'doubled'];

export function planOf(seed: number): Plan {
  const random = new Random(seed ^ 0x5eed);
  const pods = random.between(2, 5);
  const clients = random.between(1, 4);
  const log = random.chance(0.65);
  const steps: Step[] = [];
  const at = (): number => random.below(SESSION_MS);
  const opensAt = Array.from({ length: clients }, () => (random.chance(0.6) ? 0 : random.below(SESSION_MS / 2)));
  const faultAt = (instant: number): Step => ({
    at: Math.max(0, instant - random.below(400)),
    kind: 'link',
    pod: random.below(pods),
    service: 'store',
    state: random.of(STATES),
    ms: random.between(200, 6000)
  });
  for (let client = 0; client < clients; client++) {
    if (random.chance(0.85)) {
      const listen = { at: random.below(2000), client };
      steps.push({ ...listen, kind: 'listen' });
      // The SDK's client sends its GET and its first call at once.
      if (random.chance(0.5)) steps.push({ ...listen, kind: 'call', tool: 'askAlone', ms: 0, count: 1 });
    }
    for (let i = random.between(3, 12); i > 0; i--) {
      const tool = random.of(TOOLS);
      steps.push({ at: at(), kind: 'call', client, tool, ms: random.between(10, 4000), count: random.between(1, 4) });
    }
    for (let i = random.below(3); i > 0; i--) steps.push({ at: at(), kind: 'cutStandalone', client });
    for (let i = random.below(3); i > 0; i--) steps.push({ at: at(), kind: 'cutCalls', client });
    if (random.chance(0.3)) steps.push({ at: at(), kind: 'cancel', client });
    if (random.chance(0.3)) steps.push({ at: at(), kind: 'setLevel', client });
    if (random.chance(0.25)) {
      const end = random.between(SESSION_MS / 2, SESSION_MS);
      steps.push({ at: end, kind: 'end', client });
      if (random.chance(0.4)) steps.push(faultAt(end));
    }
    if (random.chance(0.15)) steps.push(faultAt(opensAt[client]!));
  }
  // One history in three has no fault of a pod or a service at all: there the strictest laws hold.
  for (let i = random.chance(0.33) ? 0 : random.between(1, 6); i > 0; i--) {
    const pod = random.below(pods);
    switch (random.below(6)) {
      case 0:
        steps.push({ at: at(), kind: 'kill', pod }, { at: at(), kind: 'add', pod });
        break;
      case 1:
        steps.push({ at: at(), kind: 'drain', pod }, { at: at(), kind: 'add', pod });
        break;
      case 2:
        steps.push({ at: at(), kind: 'pause', pod, ms: random.between(500, 9000) });
        break;
      case 3:
        steps.push({ at: at(), kind: 'skew', pod, ms: random.between(-3_600_000, 3_600_000) });
        break;
      default: {
        const service = random.of(['store', 'bus', 'log'] as const);
        const state = random.of(service === 'bus' ? BUS_STATES : STATES);
        steps.push({ at: at(), kind: 'link', pod, service, state, ms: random.between(200, 6000) });
      }
    }
  }
  steps.sort((a, b) => a.at - b.at);
  const leaseMs = random.of([1000, 5000]);
  const sessionFreshnessMs = random.of([0, 0, 1000]);
  return { seed, pods, clients, log, takeover: random.chance(0.7), leaseMs, sessionFreshnessMs, opensAt, steps };
}
