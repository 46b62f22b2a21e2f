import type { IncomingMessage } from 'node:http';
import { clearInterval, Date, setInterval, setTimeout } from '../../timers.js';
import { type Balancer, startBalancer, type Watcher } from './balancer.js';
import { Fleet, type Pod, type PodStarter } from './fleet.js';
import type { PodReport } from './podReport.js';
import { CLIENT_HEADER, WebClient } from './webClient.js';
import { PodHealth } from './webHealth.js';
import { labelOf } from './webLabel.js';
import { LiveSessions } from './webSessions.js';
import type { Line, Pace, PodView, WorldEvent, WorldView } from './webView.js';

const MAX_PODS = 6;
const CLIENTS = ['Ada', 'Ben', 'Cleo'];
const PACES: Record<Pace, number | undefined> = { off: undefined, slow: 900, fast: 120 };
/** A pod that does not begin to answer after this time counts as gone. */
const ANSWER_WITHIN_MS = 2000;
const STATE_EVERY_MS = 80;
/** How long the page shows a pod that is gone. */
const SHOWN_GONE_MS = 2500;
const MAX_LINES = 60;

export interface WorldOptions {
  /** Makes what starts pods. `report` gets what happens on them. */
  readonly starter: (report: (report: PodReport) => void) => PodStarter;
  readonly place: string;
  readonly store: string;
  readonly sdk: string;
}

/** Clients, balancer, pods and store of the page, and what its buttons do. */
export class World {
  readonly view: WorldView;
  readonly lines: Line[] = [];
  readonly #listeners = new Set<(event: WorldEvent) => void>();
  readonly #fleet: Fleet;
  readonly #health: PodHealth;
  readonly #ended = new AbortController();
  readonly #live = new LiveSessions();
  readonly #gets = new Map<string, string>();
  #clients: WebClient[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #balancer: Balancer | undefined;
  #changed = true;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor({ starter, place, store, sdk }: WorldOptions) {
    const counts = { requests: 0, storeCalls: 0, busMessages: 0, recovered: 0, killed: 0, rolling: false };
    this.view = { place, store, sdk, pace: 'slow', maxPods: MAX_PODS, clients: [], pods: [], streams: {}, ...counts };
    const start = starter(report => this.#onReport(report));
    this.#fleet = new Fleet(name => this.#start(start, name));
    this.#health = new PodHealth(
      () => this.#fleet.pods,
      (pod, healthy) => this.#onHealth(pod, healthy)
    );
  }

  async start(): Promise<void> {
    await this.#fleet.grow(3);
    const targets = (): Pod[] => this.#fleet.pods.filter(pod => this.#viewOf(pod.name)?.used);
    const options = { watcher: this.#watcher(), targets, answerWithinMs: ANSWER_WITHIN_MS };
    const { url } = (this.#balancer = await startBalancer(this.#fleet, options));
    const tell = (text: string, level?: Line['level']): void => this.#tell(text, level);
    const changed = (): void => this.#change();
    this.#clients = CLIENTS.map((name, index) => {
      // With the same pace, three clients and three pods would take turns: each client would always reach the same pod.
      const paceMs = (): number | undefined => scaled(PACES[this.view.pace], 0.8 + index * 0.2);
      const streamPod = (): string | undefined => this.view.streams[name];
      return new WebClient({ url, name, paceMs, streamPod, tell, changed });
    });
    this.view.clients = this.#clients.map(client => client.view);
    this.#running = Promise.all(this.#clients.map(client => client.run(this.#ended.signal)));
    this.#timer = setInterval(() => this.#publishState(), STATE_EVERY_MS);
    this.#health.start();
  }

  /** @returns a function that ends the subscription */
  listen(listener: (event: WorldEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    clearInterval(this.#timer);
    this.#health.stop();
    await this.#fleet.stop();
    await this.#balancer?.stop();
    await this.#running;
  }

  setPace(pace: Pace): void {
    this.view.pace = pace;
    this.#change();
  }

  client(name: string): WebClient | undefined {
    return this.#clients.find(({ view }) => view.name === name);
  }

  /** @returns whether there is such a pod */
  async kill(name: string): Promise<boolean> {
    const pod = this.#podNamed(name);
    const view = this.#viewOf(name);
    if (!pod || !view || view.state === 'killed') return false;
    view.state = 'killed';
    this.#live.drop(name);
    this.view.killed++;
    this.#change();
    this.#tell(`${name} is killed: ${await pod.kill()}`, 'bad');
    return true;
  }

  pause(name: string): boolean {
    return this.#switch(name, 'serving', 'paused', pod => {
      pod.pause();
      this.#tell(`${name} stands still: it accepts connections and answers nothing`, 'bad');
    });
  }

  resume(name: string): boolean {
    return this.#switch(name, 'paused', 'serving', pod => {
      pod.resume();
      this.#tell(`${name} runs again`);
    });
  }

  /** @returns false if there are enough */
  async add(): Promise<boolean> {
    if (this.view.pods.length >= MAX_PODS) return false;
    await this.#fleet.grow(1);
    return true;
  }

  /** Replaces every pod, one after the other. @returns false if it does so already */
  async roll(): Promise<boolean> {
    if (this.view.rolling) return false;
    this.view.rolling = true;
    try {
      for (const old of [...this.#fleet.pods]) {
        await this.#fleet.grow(1);
        this.#fleet.remove(old);
        const view = this.#viewOf(old.name);
        if (view?.state === 'killed') continue;
        if (view) Object.assign(view, { state: 'stopping', used: false });
        this.#tell(`${this.#fleet.pods.at(-1)?.name} takes the place of ${old.name}`);
        await old.stop();
        this.#forget(old.name);
      }
    } finally {
      this.view.rolling = false;
      this.#change();
    }
    return true;
  }

  async #start(start: PodStarter, name: string): Promise<Pod> {
    const fresh: PodView = { name, pid: undefined, state: 'starting', used: false, answered: 0, sessions: {} };
    this.view.pods.push(fresh);
    this.#change();
    const pod = await start(name);
    Object.assign(fresh, { state: 'serving', used: true, pid: pod.pid });
    this.#change();
    this.#tell(`${name} serves${pod.pid === undefined ? '' : `, as process ${pod.pid}`}`);
    return pod;
  }

  #switch(name: string, from: PodView['state'], to: PodView['state'], run: (pod: Pod) => void): boolean {
    const pod = this.#podNamed(name);
    const view = this.#viewOf(name);
    if (!pod || view?.state !== from) return false;
    view.state = to;
    run(pod);
    this.#change();
    return true;
  }

  #onHealth(pod: Pod, healthy: boolean): void {
    const view = this.#viewOf(pod.name);
    if (!view || view.used === healthy) return;
    view.used = healthy;
    this.#change();
    if (view.state === 'killed') {
      this.#fleet.remove(pod);
      setTimeout(() => this.#forget(pod.name), SHOWN_GONE_MS).unref();
    }
    this.#tell(`The balancer ${healthy ? 'uses' : 'stops using'} ${pod.name}${healthy ? ' again' : ''}`);
  }

  #onReport(report: PodReport): void {
    const { pod } = report;
    const view = this.#viewOf(pod);
    if (!view) return;
    this.#change();
    if (report.type === 'store') {
      this.view.storeCalls++;
      return this.#publish({ type: 'store', id: report.exchange, pod });
    }
    if (report.type === 'bus') {
      this.view.busMessages++;
      return this.#publish({ type: 'bus', pod, direction: report.direction, kind: report.kind });
    }
    const { event, session, detail } = report;
    if (event === 'session-recovered') this.view.recovered++;
    if (session === undefined) return;
    this.#live.note(pod, event, session);
    const owner = this.#clients.find(({ fingerprint }) => fingerprint === session)?.view.name;
    if (!owner) return;
    if (event === 'session-recovered') this.#tell(`${pod} recovers the session of ${owner} ${detail}`, 'good');
    if (event === 'stream-resumed') this.#tell(`${pod} resumes the stream of ${owner} ${detail}`, 'good');
  }

  #watcher(): Watcher {
    return {
      begins: (id, req, body) => {
        const client = clientOf(req);
        this.view.requests++;
        this.#change();
        if (req.method === 'GET') this.#gets.set(id, client);
        this.#publish({ type: 'begin', id, client, label: labelOf(req.method ?? '', body) });
      },
      tries: (id, pod) => this.#publish({ type: 'try', id, pod }),
      refused: (id, pod) => this.#publish({ type: 'refuse', id, pod }),
      answered: (id, status, pod) => {
        this.#publish({ type: 'answer', id, status, pod });
        const view = pod === undefined ? undefined : this.#viewOf(pod);
        if (view) view.answered++;
        const reader = this.#gets.get(id);
        if (reader !== undefined && view && status === 200) this.view.streams[reader] = view.name;
        this.#change();
      },
      ended: id => {
        const reader = this.#gets.get(id);
        this.#gets.delete(id);
        if (reader !== undefined && ![...this.#gets.values()].includes(reader)) delete this.view.streams[reader];
        this.#publish({ type: 'end', id });
        this.#change();
      }
    };
  }

  #forget(name: string): void {
    this.view.pods = this.view.pods.filter(view => view.name !== name);
    this.#change();
  }

  #podNamed(name: string): Pod | undefined {
    return this.#fleet.pods.find(pod => pod.name === name);
  }

  #viewOf(name: string): PodView | undefined {
    return this.view.pods.find(view => view.name === name);
  }

  #tell(text: string, level?: Line['level']): void {
    const line = { at: Date.now(), level, text };
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) this.lines.shift();
    this.#publish({ type: 'line', line });
  }

  #change(): void {
    this.#changed = true;
  }

  #publishState(): void {
    if (!this.#changed) return;
    this.#changed = false;
    for (const pod of this.view.pods) {
      pod.sessions = {};
      for (const { view, fingerprint } of this.#clients) {
        const origin = this.#live.on(pod.name, fingerprint);
        if (origin) pod.sessions[view.name] = origin;
      }
    }
    this.#publish({ type: 'state', state: this.view });
  }

  #publish(event: WorldEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function scaled(ms: number | undefined, factor: number): number | undefined {
  return ms === undefined ? undefined : ms * factor * (0.9 + Math.random() * 0.2);
}

function clientOf(req: IncomingMessage): string {
  const name = req.headers[CLIENT_HEADER];
  return typeof name === 'string' ? name : 'somebody';
}
