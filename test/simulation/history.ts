import './world.js';
import { type Call, type ClientFleet, SimClient } from './client.js';
import type { HttpCall } from './http.js';
import type { LawName } from './laws.js';
import { type Plan, planOf, type PodPlan, SESSION_MS, type Step } from './plan.js';
import { ASK_TIMEOUT_MS, SimPod, type Truth } from './pod.js';
import { Backends, type Service } from './services.js';
import { enterWorld, eventLoopTurn, World } from './world.js';

export interface Outcome {
  /** Each begins with the name of the law that is broken. */
  readonly violations: readonly string[];
  /** What happened, in words, if it was asked for. */
  readonly log: readonly string[];
  readonly calls: number;
  readonly answered: number;
  readonly simulatedMs: number;
  /** How often each kind of fault was there. */
  readonly faults: Readonly<Record<string, number>>;
  readonly errors: ReadonlyMap<string, number>;
}

/** After the faults have ended everything that is open must be over within this time. */
const SETTLE_MS = ASK_TIMEOUT_MS + 60_000;
/** How long after the faults everything must work: late answers have come, and pods have subscribed again. */
const HEALED_MS = 15_000;
/** Within this time a message reaches its client, also if the client has come back on another pod. */
const PROMPT_MS = 2000;
/** What may be reported though nothing has failed: what the clients or the plan of the history cause. */
const EXPECTED_REPORTS = [
  // Requests that meet 4xx or a pod that closes.
  /^(The pod is shutting down|The session is closed on this pod|The pod is full)/,
  // The client takes its stream elsewhere, or leaves before the answer.
  /^No connection established for request ID/,
  /^Conflict: /,
  // The session has ended or expired.
  /^Session not found/
];
/** What may be reported besides, if the plan has clients that answer twice, or a pod that speaks a newer version. */
const OF_REPEATED_ANSWERS = /^Dropped a response of the client to a request that is not open/;
const OF_TRIMMED_LOGS =
  /^(The event that the client saw last (on its GET stream )?is not in the|Invalid event ID format)/;
const OF_NEWER_PODS = /^Dropped a message of another pod: its type 'gossip'|it is of version 2/;

/** Plays one history. The same seed, or plan, gives the same history. */
export async function play(seedOrPlan: number | Plan, verbose = false): Promise<Outcome> {
  const plan = typeof seedOrPlan === 'number' ? planOf(seedOrPlan) : seedOrPlan;
  const world = new World(plan.seed, verbose);
  enterWorld(world);
  try {
    return await new History(plan, world).play();
  } finally {
    enterWorld(undefined);
    await eventLoopTurn();
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
  readonly #truth: Truth = {
    begun: new Map(),
    told: new Map(),
    finished: new Map(),
    progressed: new Set(),
    errors: new Map()
  };
  readonly #faults: Record<string, number> = {};
  readonly #failovers: { at: number; ms: number }[] = [];
  readonly #exam: { client: SimClient; call: Call }[] = [];
  readonly #everyPodLogs: boolean;
  /** Whether a pod was killed, or paused for longer than somebody waits, or a service failed. */
  #troubled = false;
  #logLoss: boolean;
  #drains = 0;
  #served = 0;

  constructor(plan: Plan, world: World) {
    this.#plan = plan;
    this.#world = world;
    this.#backends = new Backends(world, plan);
    this.#everyPodLogs = plan.pods.every(({ log }) => log) && plan.logKeeps > 100;
    this.#logLoss = plan.logKeeps < 100 || !this.#everyPodLogs;
    for (let i = 0; i < plan.pods.length; i++) this.#addPod();
    for (const [i, client] of plan.clients.entries()) {
      this.#clients.push(new SimClient(`c${i}`, client, world, this.#fleet()));
    }
    this.#countPlan();
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
      this.#world.after(client.plan.opensAt, connect);
    }
    for (const step of steps) if (!('client' in step)) this.#world.after(step.at, () => this.#do(step));
    await this.#world.runUntil(SESSION_MS + 10_000);
    this.#heal();
    this.#world.after(HEALED_MS, () => this.#examine());
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

  #fleet(): ClientFleet {
    const { steps } = this.#plan;
    const logLostAnswers = steps.some(
      step => step.kind === 'link' && step.service === 'log' && step.state !== 'refused' && step.state !== 'full'
    );
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const history = this;
    return {
      plan: this.#plan,
      pods: this.#pods,
      hasLog: this.#plan.pods.some(({ log }) => log),
      resumable: this.#plan.pods.every(({ log }) => log),
      logLostAnswers,
      mayRepeat:
        new Set(this.#plan.pods.map(({ log }) => log)).size > 1 ||
        steps.some(
          step =>
            step.kind === 'logLoss' ||
            (step.kind === 'link' && (step.service === 'log' || (step.service === 'bus' && !this.#everyPodLogs)))
        ),
      get calm() {
        return !history.#troubled;
      },
      get logLoss() {
        return history.#logLoss;
      },
      get drains() {
        return history.#drains;
      },
      pick: random => {
        const inService = this.#pods.filter(pod => pod.inService);
        return inService.length === 0 ? undefined : random.of(inService);
      },
      mayHaveLost: (from, to) => this.#failovers.some(({ at, ms }) => at >= from && at - ms <= to),
      opened: call => void this.#calls.add(call),
      violation: (law, text) => this.#violation(law, text)
    };
  }

  #addPod(): void {
    const index = this.#pods.length;
    const plan = this.#plan.pods[index] ?? this.#plan.pods[0]!;
    const violation = (law: LawName, text: string): void => this.#violation(law, text);
    const pod = new SimPod(`p${index}`, plan, this.#plan, this.#world, this.#backends, this.#truth, violation);
    pod.onkilled = () => {
      for (const call of this.#calls) if (call.pod === pod) call.cut();
    };
    this.#pods.push(pod);
  }

  #violation(law: LawName, text: string): void {
    this.#world.note(() => `VIOLATION ${law}: ${text}`);
    this.#violations.push(`${law}: ${text}`);
  }

  #count(fault: string): void {
    this.#faults[fault] = (this.#faults[fault] ?? 0) + 1;
  }

  /** What is unusual from the beginning. */
  #countPlan(): void {
    const { pods, clients, ttlSeconds, fiveMethods, logKeeps, maxLiveSessions } = this.#plan;
    if (ttlSeconds < 100) this.#count('sessions that expire');
    if (fiveMethods) this.#count('store of five methods');
    if (logKeeps < 100) this.#count('log that is trimmed');
    if (maxLiveSessions < 100) this.#count('pods that are full');
    const [first] = pods as [PodPlan];
    if (first.log && first.logMethods)
      this.#count(`log with ${first.logMethods === 'all' ? 'all methods' : 'a start'}`);
    for (const { log, logMethods, leaseMs, version } of pods) {
      if (version !== 'current') this.#count(`pod with ${version} messages`);
      if (log !== pods[0]!.log) this.#count('pod without the log of the others');
      else if (logMethods !== first.logMethods) this.#count('pod whose log has other methods');
      if (leaseMs !== pods[0]!.leaseMs) this.#count('pod with another lease');
    }
    if (clients.some(({ repeats }) => repeats)) this.#count('client that answers twice');
  }

  #do(step: Step): void {
    if ('client' in step) return this.#doAsClient(this.#clients[step.client]!, step);
    this.#world.note(() => `FAULT ${JSON.stringify(step)}`);
    if (step.kind !== 'link') this.#count(step.kind);
    if (step.kind === 'failover') {
      this.#troubled = true;
      this.#failovers.push({ at: this.#world.now, ms: step.ms });
      return this.#backends.store.failOver(step.ms);
    }
    if (step.kind === 'logLoss') {
      this.#troubled = this.#logLoss = true;
      return this.#backends.log.lose();
    }
    if (step.kind === 'link') return this.#link(step);
    const pod = this.#pods[step.pod];
    if (!pod) return;
    switch (step.kind) {
      case 'kill':
        this.#troubled = true;
        return pod.kill();
      case 'drain':
        this.#drains++;
        for (const client of this.#clients) client.cutStandalones++;
        pod.drain();
        // Then every request waits for the next pod.
        if (!this.#pods.some(({ inService }) => inService)) this.#troubled = true;
        return;
      case 'add':
        return this.#addPod();
      case 'pause':
        this.#troubled = true;
        pod.pause();
        return this.#world.after(step.ms, () => pod.process.resume());
      case 'skew':
        pod.process.skewMs = step.ms;
        return;
    }
  }

  #link({ pod: index, service, state, ms }: Step & { kind: 'link' }): void {
    this.#troubled = true;
    this.#count(`${service} ${state}${index < 0 ? ' for all' : ''}`);
    const pods = index < 0 ? [...this.#pods] : this.#pods.slice(index, index + 1);
    for (const pod of pods) {
      pod.links.set(service, state);
      this.#world.after(ms, () => pod.links.set(service, 'up'));
    }
  }

  #killOwner(client: SimClient): void {
    const tokens = client.open.map(({ token }) => token);
    const owner = tokens.flatMap(token => this.#truth.begun.get(token) ?? []).find(({ process }) => !process.dead);
    if (!owner) return;
    this.#troubled = true;
    this.#count('killOwner');
    owner.kill();
  }

  #doAsClient(client: SimClient, step: Extract<Step, { client: number }>): void {
    if (client.deleteSentAt !== undefined || !client.ready) return;
    switch (step.kind) {
      case 'call':
        return void client.call(step.tool, `t${this.#served++}`, step.ms, step.count);
      case 'setLevel':
        return client.change('level');
      case 'subscribe':
        return client.change('subscription');
      case 'killOwner':
        return this.#killOwner(client);
      case 'endTwice':
        client.end();
        return client.end();
      case 'retry':
      case 'listenTwice':
        this.#count(step.kind);
        return client[step.kind]();
      default:
        return client[step.kind]();
    }
  }

  /** Every fault ends, and at least one pod serves. */
  #heal(): void {
    for (const pod of this.#pods) {
      pod.process.resume();
      for (const service of ['store', 'bus', 'log'] satisfies Service[]) pod.links.set(service, 'up');
    }
    if (!this.#pods.some(pod => pod.inService)) this.#addPod();
    for (const client of this.#clients) if (client.deleteSentAt === undefined) client.listen();
  }

  /** Every pod must do everything for every session. */
  #examine(): void {
    // Pods that have no room for all sessions may refuse some for ever.
    if (this.#plan.maxLiveSessions < this.#clients.length) return;
    this.#world.note(() => 'From here on everything must work');
    for (const client of this.#clients) {
      if (client.deleteSentAt !== undefined || !client.ready) continue;
      const pods = this.#pods.filter(({ inService }) => inService).slice(0, 3);
      client.change('level', () => {
        for (const pod of pods) {
          for (const tool of ['ask', 'askAlone', 'tell'] as const) {
            this.#exam.push({ client, call: client.call(tool, `t${this.#served++}`, 0, 2, pod) });
          }
        }
      });
    }
  }

  #checkOver(): void {
    for (const client of this.#clients) {
      if (client.sessionId === undefined) {
        this.#violation('opens', `${client.name}: has no session though every fault is over`);
      }
      if (client.deleteSentAt !== undefined && client.deletedAt === undefined) {
        this.#violation('over', `${client.name}: its DELETE was never confirmed`);
      }
      if (client.deletedAt !== undefined) client.probe();
      for (const call of client.calls) this.#checkCall(client, call);
      this.#checkNotifications(client);
    }
    for (const { client, call } of this.#exam) this.#checkExam(client, call);
    this.#checkReports();
  }

  #checkCall(client: SimClient, call: Call): void {
    const ended = client.deleteSentAt !== undefined;
    if (call.state === 'open' && !ended) {
      this.#violation('over', `${client.name}: ${call.tool} ${call.token} was never answered`);
    }
    const [answer] = call.answers;
    if (answer && !answer.isError && answer.text !== call.token) {
      this.#violation('right', `${client.name}: ${call.token} was answered ${answer.text}`);
    }
    if (ended || call.state === 'sessionGone') return;
    const pods = this.#truth.begun.get(call.token) ?? [];
    const isAnswer = answer?.isError && call.tool !== 'askAlone' && call.tool !== 'ask';
    if (
      answer?.isError &&
      !/Request timed out|The server that ran this request is gone|Connection closed/.test(answer.text)
    )
      this.#violation('known', `${client.name}: ${call.tool} ${call.token} failed: ${answer.text}`);
    if (isAnswer && pods.every(pod => pod.hasAlwaysHeard) && !this.#troubled)
      this.#violation('clean', `${client.name}: ${call.token} failed: ${answer.text}`);
    const acceptedAt = client.accepted.get(call.token) ?? Infinity;
    if (
      answer?.text.includes('Request timed out') &&
      acceptedAt < call.sentAt + ASK_TIMEOUT_MS - 3000 &&
      pods.length === 1 &&
      pods[0]!.hasAlwaysHeard
    ) {
      this.#violation('answered', `${client.name}: its accepted answer to ${call.token} did not arrive`);
    }
    if (this.#troubled) return;
    // Nothing has failed: what could be answered was answered, and nothing ran twice.
    if (answer?.isError && (call.tool !== 'askAlone' || this.#hears(client, call.sentAt)))
      this.#violation('clean', `${client.name}: ${call.token} failed: ${answer.text}`);
    if (call.state === 'over') this.#violation('clean', `${client.name}: the answer to ${call.token} was lost`);
    if (call.state === 'broken' && !call.wasCut && this.#drains === 0)
      this.#violation('clean', `${client.name}: the connection of ${call.token} broke`);
    if (pods.length > 1 && !call.retried) this.#violation('clean', `${client.name}: ${call.token} ran twice`);
    const finishedAt = this.#truth.finished.get(call.token) ?? Infinity;
    const isLate = call.state === 'answered' && call.answeredAt - finishedAt > PROMPT_MS;
    if (isLate && this.#plan.takeover && this.#everyPodLogs && !call.retried) {
      this.#violation('prompt', `${client.name}: ${call.token} was answered after ${call.answeredAt - finishedAt} ms`);
    }
    const reportedAt = client.reported.get(call.token) ?? Infinity;
    // A question that an older pod writes may come twice: the answer to one may then overtake the progress of the other.
    const wasAskedOnce = !call.retried && !client.listensTwice && !this.#hasOlderPod;
    if (call.state === 'answered' && reportedAt < Infinity && wasAskedOnce && !this.#truth.progressed.has(call.token)) {
      this.#violation('reported', `${client.name}: its accepted progress of ${call.token} did not arrive`);
    }
  }

  get #hasOlderPod(): boolean {
    return this.#plan.pods.some(({ version }) => version === 'older');
  }

  /** Whether nothing that is asked on the client's GET stream from this instant on may be lost. */
  #hears(
    { cutStandalones, listensTwice, cursorSince = Infinity, listensSince = Infinity }: SimClient,
    instant: number
  ): boolean {
    const isSteady = cutStandalones === 0 && !listensTwice;
    return listensSince <= instant && (isSteady || (this.#everyPodLogs && cursorSince <= instant));
  }

  /** With an event log, and from the client's first cursor on, nothing that was told is lost, and all comes soon. */
  #checkNotifications(client: SimClient): void {
    if (!this.#everyPodLogs || this.#troubled || client.deleteSentAt !== undefined) return;
    const heard = new Map(client.heard.map(receipt => [receipt.token, receipt]));
    const { cursorSince = Infinity, sessionId } = client;
    for (const call of client.calls) {
      if (call.state !== 'answered' || call.session !== sessionId) continue;
      for (const [token, sentAt] of this.#truth.told) {
        if (!token.startsWith(`${call.token}.`)) continue;
        if (call.tool === 'tell' && call.sentAt < cursorSince) continue;
        if (call.tool === 'progress' && (call.retried || (call.wasCut && client.plan.version < '2025-11'))) continue;
        const receipt = call.tool === 'tell' ? heard.get(token) : call.progress.get(token);
        if (!receipt) this.#violation('heard', `${client.name}: never heard ${token}`);
        else if (this.#plan.takeover && receipt.at - sentAt > PROMPT_MS) {
          this.#violation('prompt', `${client.name}: heard ${token} after ${receipt.at - sentAt} ms`);
        }
      }
    }
  }

  #checkExam(client: SimClient, call: Call): void {
    if (call.session !== client.sessionId) return;
    // What is trimmed before it was read is lost, also a question.
    if (this.#plan.logKeeps < 100 && call.tool !== 'ask') return;
    const told = (this.#truth.begun.get(call.token)?.length ?? 0) === 1;
    const text = `${client.name}: ${call.tool} ${call.token} on ${call.pin?.name}`;
    if (call.state !== 'answered') return this.#violation('healed', `${text}: ${call.answers[0]?.text ?? call.state}`);
    if (call.answeredAt - call.sentAt > PROMPT_MS) this.#violation('healed', `${text}: answered late`);
    if (!told) this.#violation('healed', `${text}: did not run once`);
    if (call.tool !== 'tell') return;
    for (const token of [`${call.token}.0`, `${call.token}.1`]) {
      if (!client.heard.some(receipt => receipt.token === token))
        this.#violation('healed', `${text}: never heard ${token}`);
    }
  }

  #checkReports(): void {
    if (this.#troubled) return;
    const expected = [...EXPECTED_REPORTS];
    if (this.#hasOlderPod || this.#clients.some(({ plan, listensTwice }) => plan.repeats || listensTwice))
      expected.push(OF_REPEATED_ANSWERS);
    if (this.#plan.pods.some(({ version }) => version === 'newer')) expected.push(OF_NEWER_PODS);
    if (this.#plan.logKeeps < 100) expected.push(OF_TRIMMED_LOGS);
    for (const [text, count] of this.#truth.errors) {
      if (!expected.some(known => known.test(text))) this.#violation('quiet', `${text} (${count})`);
    }
  }

  /** A session that has ended costs the pods nothing. */
  #checkListeners(): void {
    if (this.#troubled) return;
    for (const { name, deletions, sessionId = '' } of this.#clients) {
      if (deletions > 0 && this.#backends.listeners(sessionId) > 0) {
        this.#violation('left', `${name}: pods listen to the messages of its ended session`);
      }
    }
  }

  /** Clients and pods leave: nothing may be left behind. */
  async #leave(): Promise<void> {
    await this.#world.runUntil(this.#world.now + 1000);
    for (const client of this.#clients) client.stop();
    await this.#world.runUntil(this.#world.now + 5000);
    this.#checkListeners();
    let closed = 0;
    const alive = this.#pods.filter(pod => !pod.process.dead && !pod.draining);
    for (const pod of alive) pod.process.enter(() => void pod.handler.close({ drainMs: 1000 }).then(() => closed++));
    await this.#world.runUntil(this.#world.now + 30_000);
    if (closed !== alive.length) this.#violation('left', `${alive.length - closed} pods did not close`);
    if (this.#backends.subscriptions > 0) {
      this.#violation('left', `${this.#backends.subscriptions} subscriptions were left`);
    }
    const { timers } = this.#world;
    if (timers > 0) this.#violation('left', `${timers} timers were left`);
  }
}
