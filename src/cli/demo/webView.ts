import type { ClientView } from './webClient.js';

/** What the page shows of a pod. */
export interface PodView {
  readonly name: string;
  pid: number | undefined;
  state: 'starting' | 'serving' | 'paused' | 'stopping' | 'killed';
  /** Whether the balancer sends requests to it. */
  used: boolean;
  answered: number;
  /** The clients whose sessions are live here, and how the pod got them. */
  sessions: Record<string, 'opened' | 'recovered'>;
}

export type Pace = 'off' | 'slow' | 'fast';

/** Everything that the page shows, except what moves. */
export interface WorldView {
  readonly place: string;
  readonly store: string;
  readonly sdk: string;
  pace: Pace;
  readonly maxPods: number;
  clients: ClientView[];
  pods: PodView[];
  /** The pod that holds the GET stream of each client. */
  streams: Record<string, string>;
  requests: number;
  storeCalls: number;
  busMessages: number;
  recovered: number;
  killed: number;
  rolling: boolean;
}

/** A sentence in the list of events. */
export interface Line {
  readonly at: number;
  readonly level: 'good' | 'bad' | undefined;
  readonly text: string;
}

/** What the page receives. */
export type WorldEvent =
  | { type: 'state'; state: WorldView }
  | { type: 'line'; line: Line }
  | { type: 'begin'; id: string; client: string; label: string }
  | { type: 'try' | 'refuse'; id: string; pod: string }
  | { type: 'store'; id: string | undefined; pod: string }
  | { type: 'answer'; id: string; status: number; pod: string | undefined }
  | { type: 'end'; id: string }
  | { type: 'bus'; pod: string; direction: 'in' | 'out'; kind: string };
