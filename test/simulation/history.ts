import './world.js';
import { SimClient } from './client.js';
import type { HttpCall } from './http.js';
import { type Plan, planOf, SESSION_MS, type Step } from './plan.js';
import { ASK_TIMEOUT_MS, SimPod, type Truth } from './pod.js';
import { Backends } from './services.js';
import { enterWorld, World } from './world.js';

export interface Outcome {
  readonly violations: readonly string[];
  /** What happened, in words, if it was asked for. */
  readonly log: readonly string[];
  readonly calls: number;
  readonly answered: number;
  readonly simulatedMs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly errors: ReadonlyMap<string, number>;
}

/** After the faults have ended everything that is open must be over within this time. */
const SETTLE_MS = ASK_TIMEOUT_MS + 60_000;

/** Plays one history. The same seed, or plan, gives the same history. */
export async function play(seedOrPlan: number | Plan, verbose = false): Promise<Outcome> {
  const plan = typeof seedOrPlan === 'number' ? planOf(seedOrPlan) : seedOrPlan;
  const world = new World(plan.seed, verbose);
  enterWorld(world);
  try {
    return await new History(plan, world).play();
  } finally {
    enterWorld(undefined);
  }
}

class History {
  readonly #plan: Plan;
  readonly #world: World;
  readonly #backends: Backends;
  readonly #pods: SimPod[] = [];
  readonly #clients: SimClient[] = [];
  readonly #calls = new Set<HttpCall>();
  readonly #violations: string[] = [];
  readonly #truth: Truth = { begun: new Map(), told: new Set(), errors: new Map() };
  readonly #faults: Record<string, number> = {};
  /** Whether a pod was killed, or paused for longer than somebody waits, or a service failed. */
  #troubled = false;
  #served = 0;

  constructor(plan: Plan, world: World) {
    this.#plan = plan;
    this.#world = world;
    this.#backends = new Backends(world);
    for (let i = 0; i < plan.pods; i++) this.#addPod();
    for (let i = 0; i < plan.clients; i++) this.#clients.push(this.#newClient(i));
  }

  async play(): Promise<Outcome> {
    const { steps } = this.#plan;
    for (const [index, client] of this.#clients.entries()) {
      const mine = steps.filter(step => 'client' in step && step.client === index);
      const connect = (): void =>
        client.connect(() => {
          // What a client was to do before it has a session, it does when it has one.
          const connectedAt = this.#world.now;
          for (const step of mine) this.#world.after(Math.max(0, step.at - connectedAt), () => this.#do(step));
        });
      this.#world.after(this.#plan.opensAt?.[index] ?? 0, connect);
    }
    for (const step of steps) if ('pod' in step) this.#world.after(step.at, () => this.#do(step));
    await this.#world.runUntil(SESSION_MS + 10_000);
    this.#heal();
    await this.#world.runUntil(this.#world.now + SETTLE_MS);
    this.#checkOver();
    await this.#leave();
    return {
      violations: this.#violations,
      log: this.#world.log,
      calls: this.#clients.reduce((total, { calls }) => total + calls.length, 0),
      answered: this.#clients.reduce((total, { calls }) => total + calls.filter(c => c.state === 'answered').length, 0),
      simulatedMs: this.#world.now,
      faults: this.#faults,
      errors: this.#truth.errors
    };
  }

  #newClient(index: number): SimClient {
    const fleet = {
      pods: this.#pods,
      log: this.#plan.log,
      logLostAnswers: this.#plan.steps.some(
        step => step.kind === 'link' && step.service === 'log' && step.state === 'answersLost'
      ),
      pick: () => {
        const inService = this.#pods.filter(pod => pod.inService);
        return inService.length === 0 ? undefined : this.#world.random.of(inService);
      },
      // A pod that may trust a session for some time learns of its end from the bus, or when that time is over.
      probeAfterMs: this.#plan.sessionFreshnessMs === 0 ? [0, 30, 1000, 5000] : [this.#plan.sessionFreshnessMs + 4000],
      opened: (call: HttpCall) => void this.#calls.add(call),
      violation: (text: string) => this.#violation(text)
    };
    return new SimClient(`c${index}`, this.#world, fleet);
  }

  #addPod(): void {
    const pod = new SimPod(`p${this.#pods.length}`, this.#world, this.#backends, this.#plan, this.#truth);
    pod.onkilled = () => {
      for (const call of this.#calls) if (call.pod === pod) call.cut();
    };
    this.#pods.push(pod);
  }

  #violation(text: string): void {
    this.#world.note(() => `VIOLATION ${text}`);
    this.#violations.push(text);
  }

  #do(step: Step): void {
    if ('client' in step) return this.#doAsClient(this.#clients[step.client]!, step);
    const pod = this.#pods[step.pod]!;
    this.#faults[step.kind] = (this.#faults[step.kind] ?? 0) + 1;
    this.#world.note(() => `FAULT ${JSON.stringify(step)}`);
    switch (step.kind) {
      case 'kill':
        this.#troubled = true;
        return pod.kill();
      case 'drain':
        this.#troubled = true;
        return pod.drain();
      case 'add':
        return this.#addPod();
      case 'pause':
        this.#troubled = true;
        pod.process.pause();
        return this.#world.after(step.ms, () => pod.process.resume());
      case 'skew':
        pod.process.skewMs = step.ms;
        return;
      case 'link':
        this.#troubled = true;
        pod.links.set(step.service, step.state);
        return this.#world.after(step.ms, () => pod.links.set(step.service, 'up'));
    }
  }

  #doAsClient(client: SimClient, step: Step & { client: number }): void {
    if (client.deleteSentAt !== undefined) return;
    switch (step.kind) {
      case 'call':
        return client.call(step.tool, `t${this.#served++}`, step.ms, step.count);
      case 'listen':
        return client.listen();
      case 'cutStandalone':
        return client.cutStandalone();
      case 'cutCalls':
        return client.cutCalls();
      case 'cancel': {
        const call = client.open[0];
        return call && client.cancel(call);
      }
      case 'setLevel':
        return client.setLevel('error');
      case 'end':
        return client.end();
    }
  }

  /** Every fault ends, and at least one pod serves. */
  #heal(): void {
    for (const pod of this.#pods) {
      pod.process.resume();
      for (const service of ['store', 'bus', 'log'] as const) pod.links.set(service, 'up');
    }
    if (!this.#pods.some(pod => pod.inService)) this.#addPod();
  }

  #checkOver(): void {
    for (const client of this.#clients) {
      if (client.sessionId === undefined) this.#violation(`${client.name}: has no session though every fault is over`);
      if (client.deleteSentAt !== undefined && client.deletedAt === undefined) {
        this.#violation(`${client.name}: its DELETE was never confirmed`);
      }
      if (client.deletedAt !== undefined) client.probe();
      for (const call of client.calls) this.#checkCall(client, call);
      this.#checkNotifications(client);
    }
  }

  #checkCall(client: SimClient, call: SimClient['calls'][number]): void {
    const ended = client.deleteSentAt !== undefined;
    if (call.state === 'open' && !ended)
      this.#violation(`${client.name}: ${call.tool} ${call.token} was never answered`);
    if (call.state === 'sessionGone' && !ended)
      this.#violation(`${client.name}: ${call.token} met 404 without a DELETE`);
    const [answer] = call.answers;
    if (answer && !answer.isError && answer.text !== call.token) {
      this.#violation(`${client.name}: ${call.token} was answered ${answer.text}`);
    }
    if (this.#troubled || ended) return;
    // Nothing has failed: what could be answered was answered, and nothing ran twice.
    if (answer?.isError && (call.tool !== 'askAlone' || this.#hears(client, call.sentAt)))
      this.#violation(`${client.name}: ${call.token} failed: ${answer.text}`);
    if (call.state === 'over') this.#violation(`${client.name}: the answer to ${call.token} was lost`);
    if ((this.#truth.begun.get(call.token) ?? 0) > 1) this.#violation(`${client.name}: ${call.token} ran twice`);
  }

  /** Whether nothing that is asked on the client's GET stream from this instant on may be lost. */
  #hears({ cutStandalones, cursorSince = Infinity, listensSince = Infinity }: SimClient, instant: number): boolean {
    return listensSince <= instant && (cutStandalones === 0 || (this.#plan.log && cursorSince <= instant));
  }

  /** With an event log, and from the client's first cursor on, nothing that was told is lost. */
  #checkNotifications(client: SimClient): void {
    const { log } = this.#plan;
    if (!log || this.#troubled || client.deleteSentAt !== undefined || client.cursorSince === undefined) return;
    const heard = new Set(client.heard.map(({ token }) => token));
    for (const call of client.calls) {
      if (call.tool !== 'tell' || call.state !== 'answered' || call.sentAt < client.cursorSince) continue;
      for (const token of this.#truth.told) {
        if (token.startsWith(`${call.token}.`) && !heard.has(token)) {
          this.#violation(`${client.name}: never heard ${token}`);
        }
      }
    }
  }

  /** Clients and pods leave: nothing may be left behind. */
  async #leave(): Promise<void> {
    await this.#world.runUntil(this.#world.now + 1000);
    for (const client of this.#clients) client.stop();
    await this.#world.runUntil(this.#world.now + 5000);
    let closed = 0;
    const alive = this.#pods.filter(pod => !pod.process.dead && !pod.draining);
    for (const pod of alive) pod.process.enter(() => void pod.handler.close({ drainMs: 1000 }).then(() => closed++));
    await this.#world.runUntil(this.#world.now + 30_000);
    if (closed !== alive.length) this.#violation(`${alive.length - closed} pods did not close`);
    if (this.#backends.subscriptions > 0) this.#violation(`${this.#backends.subscriptions} subscriptions were left`);
    const { timers } = this.#world;
    if (timers > 0) this.#violation(`${timers} timers were left`);
  }
}
