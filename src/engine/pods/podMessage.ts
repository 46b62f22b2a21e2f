import { BUS_VERSION } from './busMessage.js';

/**
 * The topic on which operators ask all pods, and address one of them. Pods of older versions do not subscribe to it, so
 * they never see these messages.
 */
export const PODS_TOPIC = 'pods';

/** The topic of the answers for one asker. */
export function answersTopic(asker: string): string {
  return `pods:${asker}`;
}

/** What a pod says of itself. Counters begin with the pod. */
export interface PodState {
  /** Names the handler. A process with two handlers is two pods. */
  readonly instance: string;
  readonly host: string;
  readonly pid: number;
  /** Versions of this package, of the SDK and of the runtime; '' if unknown. */
  readonly version: string;
  readonly sdkVersion: string;
  readonly runtime: string;
  readonly state: 'serving' | 'draining';
  readonly uptimeMs: number;
  readonly liveSessions: number;
  readonly maxLiveSessions: number;
  readonly attachedStreams: number;
  /** Requests of either side that have no answer yet. */
  readonly inFlight: number;
  readonly requests: number;
  readonly recoveries: number;
  /** Of the process; 0 if unknown. */
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly namespace?: string;
}

/** A message between an operator and the pods. */
export type PodMessage = { v: number; from: string } & (
  | { type: 'pods-asked' }
  | { type: 'pod-state'; pod: PodState }
  /** The pod `to` shuts down as with `handler.close`, and answers with its state. */
  | { type: 'pod-drain'; to: string; delayMs: number; drainMs: number }
);

export function podMessage(from: string, body: DistributedOmit<PodMessage, 'v' | 'from'>): string {
  return JSON.stringify({ ...body, v: BUS_VERSION, from });
}

type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

const TEXTS = ['instance', 'host', 'version', 'sdkVersion', 'runtime', 'state'] as const;
const NUMBERS = [
  'pid',
  'uptimeMs',
  'liveSessions',
  'maxLiveSessions',
  'attachedStreams',
  'inFlight',
  'requests',
  'recoveries',
  'rssBytes',
  'heapBytes'
] as const;

/** @throws Error with the reason why this version cannot parse the text */
export function parsePodMessage(text: string): PodMessage {
  const message = JSON.parse(text) as Record<string, unknown> | null;
  if (typeof message !== 'object' || message === null) throw new Error('it is not an object');
  if (message.v !== BUS_VERSION) throw new Error(`it is of version ${String(message.v)}`);
  if (typeof message.from !== 'string') throw new Error('it has no sender');
  const { type, to, delayMs, drainMs, pod } = message;
  const isKnown =
    type === 'pods-asked' ||
    (type === 'pod-drain' && typeof to === 'string' && isTime(delayMs) && isTime(drainMs)) ||
    (type === 'pod-state' && isPodState(pod));
  if (!isKnown) throw new Error(`its type '${String(type).slice(0, 40)}' is unknown, or a field is wrong`);
  return message as unknown as PodMessage;
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < 2 ** 31;
}

function isPodState(value: unknown): value is PodState {
  if (typeof value !== 'object' || value === null) return false;
  const pod = value as Record<string, unknown>;
  return TEXTS.every(field => typeof pod[field] === 'string') && NUMBERS.every(field => Number.isFinite(pod[field]));
}
