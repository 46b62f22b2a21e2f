import type { Balancer } from './balancer.js';
import type { Fleet } from './fleet.js';
import { type Check, heading, note, row } from './screen.js';
import { type Call, reasonOf, Visitor } from './visitor.js';

/** Plays the scenes in order and ticks the checks that it observes. Other checks stay unticked. */
export class Story {
  readonly #connects = check('the client connects through the balancer');
  readonly #spreads = check('every pod serves the session');
  readonly #recovers = check('pods that never met the client know it');
  readonly #outlivesPod = check('a pod dies, the calls go on');
  readonly #outlivesAll = check('every pod restarts, the calls go on');
  readonly #ends = check('once it is deleted, every pod says 404');
  readonly #fleet: Fleet;
  readonly #balancer: Balancer;
  readonly #signal: AbortSignal;
  #visitor: Visitor;

  /** @param signal - ends the story: `tell` throws */
  constructor(fleet: Fleet, balancer: Balancer, signal: AbortSignal) {
    this.#fleet = fleet;
    this.#balancer = balancer;
    this.#signal = signal;
    this.#visitor = new Visitor(balancer);
  }

  get checks(): readonly Check[] {
    return [this.#connects, this.#spreads, this.#recovers, this.#outlivesPod, this.#outlivesAll, this.#ends];
  }

  async tell(): Promise<void> {
    try {
      heading('A client connects: two requests, each to the next pod');
      const opener = await this.#open();
      heading('It calls: each call goes to the next pod');
      await this.#spread(opener);
      heading(`${opener}, which opened the session, dies`);
      await this.#crash(opener);
      heading('A deploy replaces every pod, one after the other');
      await this.#deploy();
      heading('The client deletes the session');
      await this.#end();
    } finally {
      await this.#visitor.close();
    }
  }

  /** @returns the pod that opened the session */
  async #open(): Promise<string> {
    const failure = await this.#connect();
    const pods = this.#balancer.served.map(request => request.pod);
    observe(this.#connects, failure === undefined, failure ?? pods.join(', '));
    if (failure !== undefined) {
      note('So that the demo can go on, the client connects once more, to one pod alone.');
      this.#visitor = new Visitor(this.#balancer);
      this.#balancer.pin(this.#fleet.pods[0]);
      const again = await this.#connect();
      if (again !== undefined) throw new Error(`Nor can it connect to one pod: ${again}`);
      this.#balancer.pin(undefined);
    }
    return this.#balancer.served.at(-2)!.pod;
  }

  /** @returns why it failed, if it did */
  async #connect(): Promise<string | undefined> {
    const before = this.#balancer.served.length;
    const failure = await this.#visitor.connect().then(() => undefined, reasonOf);
    const requests = this.#balancer.served.slice(before);
    for (const [index, { pod }] of requests.entries()) {
      const failed = failure !== undefined && index === requests.length - 1;
      this.#row(index === 0 ? 'initialize' : 'initialized', pod, failed ? failure : 'accepted', failed);
    }
    return failure;
  }

  async #spread(opener: string): Promise<void> {
    const calls = await this.#callUntilServedBy(this.#podNames());
    observe(this.#spreads, allServed(calls, this.#podNames()), tally(calls));
    const elsewhere = calls.filter(call => call.pod !== opener);
    const recovered = elsewhere.filter(call => call.ok && call.answer?.recovered);
    observe(this.#recovers, recovered.length > 0 && recovered.length === elsewhere.length, tally(elsewhere));
  }

  async #crash(opener: string): Promise<void> {
    const pod = this.#fleet.pods.find(({ name }) => name === opener)!;
    note(await pod.kill());
    const survivors = this.#podNames().filter(name => name !== opener);
    const calls = await this.#callUntilServedBy(survivors, 4);
    const refused = calls.some(call => call.refusedBy.includes(opener));
    observe(this.#outlivesPod, refused && allServed(calls, survivors), tally(calls));
  }

  async #deploy(): Promise<void> {
    const calls: Call[] = [];
    for (const old of [...this.#fleet.pods]) {
      const pod = await this.#fleet.replace(old);
      this.#signal.throwIfAborted();
      note(`${pod.name} takes the place of ${old.name}`);
      calls.push(await this.#call());
    }
    note('None of the first pods is left.');
    calls.push(...(await this.#callUntilServedBy(this.#podNames())));
    observe(this.#outlivesAll, allServed(calls, this.#podNames()), tally(calls));
  }

  async #end(): Promise<void> {
    const failure = await this.#visitor.deleteSession().then(() => undefined, reasonOf);
    this.#row('DELETE', this.#balancer.served.at(-1)!.pod, failure ?? 'deleted', failure !== undefined);
    const answers: string[] = [];
    for (const pod of this.#fleet.pods) {
      const answer = await this.#visitor.askDirectly(pod);
      answers.push(answer);
      this.#row('whoami', pod.name, answer);
    }
    const gone = answers.every(answer => answer === '404 Session not found');
    observe(this.#ends, failure === undefined && gone, [...new Set(answers)].join(', '));
  }

  /** Calls until each of these pods has served a call, or the limit of calls is reached. */
  async #callUntilServedBy(pods: readonly string[], atLeast = pods.length): Promise<Call[]> {
    const calls: Call[] = [];
    while (calls.length < atLeast || (calls.length < 2 * pods.length && !allServed(calls, pods))) {
      calls.push(await this.#call());
    }
    return calls;
  }

  async #call(): Promise<Call> {
    const call = await this.#visitor.whoami();
    for (const pod of call.refusedBy) this.#row('whoami', pod, 'connection refused: to the next pod');
    const { pod, answer, failure, ok } = call;
    const known = answer && `${answer.client}  ${answer.capabilities.join(', ')}`;
    this.#row('whoami', pod, failure ?? `${answer?.recovered ? 'recovered' : 'opened   '}  ${known}`, !ok);
    return call;
  }

  #row(call: string, pod: string, outcome: string, bad = false): void {
    this.#signal.throwIfAborted();
    row(call, pod, this.#visitor.sessionId.slice(0, 8), outcome, bad);
  }

  #podNames(): string[] {
    return this.#fleet.pods.map(pod => pod.name);
  }
}

function check(claim: string): Check {
  return { claim, observed: false, seen: 'not reached' };
}

function observe(check: Check, observed: boolean, seen: string): void {
  Object.assign(check, { observed, seen });
}

/** Whether every call was answered, and each of these pods has answered one. */
function allServed(calls: readonly Call[], pods: readonly string[]): boolean {
  return calls.every(call => call.ok) && pods.every(pod => calls.some(call => call.pod === pod));
}

function tally(calls: readonly Call[]): string {
  const answered = calls.filter(call => call.ok);
  const pods = [...new Set(answered.map(call => call.pod))].sort().join(', ');
  return `${answered.length} of ${calls.length} calls${pods && `: ${pods}`}`;
}
