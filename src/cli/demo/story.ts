import { setTimeout as delay } from 'node:timers/promises';
import type { Balancer } from './balancer.js';
import type { Fleet } from './fleet.js';
import type { Check, Screen } from './screen.js';
import { type Call, reasonOf, Visitor } from './visitor.js';

/** Plays the scenes in order and ticks the checks that it observes. Other checks stay unticked. */
export class Story {
  readonly #connects = check('the client connects through the balancer');
  readonly #spreads = check('every pod serves the session');
  readonly #recovers = check('pods that never met the client know it');
  readonly #asks = check('a question is answered through another pod');
  readonly #announces = check('a notification crosses from pod to pod');
  readonly #resumes = check('a stream resumes after its pod was killed');
  readonly #outlivesPod = check('a pod dies, the calls go on');
  readonly #outlivesAll = check('every pod restarts, the calls go on');
  readonly #ends = check('once it is deleted, every pod says 404');
  readonly #fleet: Fleet;
  readonly #balancer: Balancer;
  readonly #screen: Screen;
  readonly #signal: AbortSignal;
  #visitor: Visitor;

  /** @param signal - ends the story: `tell` throws */
  constructor(fleet: Fleet, balancer: Balancer, screen: Screen, signal: AbortSignal) {
    this.#fleet = fleet;
    this.#balancer = balancer;
    this.#screen = screen;
    this.#signal = signal;
    this.#visitor = new Visitor(balancer);
  }

  get checks(): readonly Check[] {
    const routes = [this.#connects, this.#spreads, this.#recovers, this.#asks, this.#announces];
    return [...routes, this.#outlivesPod, this.#resumes, this.#outlivesAll, this.#ends];
  }

  async tell(): Promise<void> {
    try {
      this.#screen.heading('A client connects: two requests, each to the next pod');
      const opener = await this.#open();
      this.#screen.heading('It calls: each call goes to the next pod');
      await this.#spread(opener);
      this.#screen.heading('A tool asks its user: the answer goes to the next pod');
      await this.#ask();
      this.#screen.heading('A tool sends news: the GET stream of the client is on another pod');
      await this.#announce();
      this.#screen.heading(`${opener}, which opened the session, dies`);
      await this.#crash(opener);
      this.#screen.heading('The pod with the GET stream dies, and news is sent before the client is back');
      await this.#resume();
      this.#screen.heading('A deploy replaces every pod, one after the other');
      await this.#deploy();
      this.#screen.heading('The client deletes the session');
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
      this.#screen.note('So that the demo can go on, the client connects once more, to one pod alone.');
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

  async #ask(): Promise<void> {
    const { pods, content, failure } = await this.#visitor.run('ask');
    const [asker = 'nobody', answered = 'nobody'] = pods;
    this.#row('ask', asker, failure ?? 'asks: which color?', failure !== undefined);
    if (!failure) this.#row('the answer', answered, `to ${asker}, whose tool gets: ${String(content?.color)}`);
    const observed = content?.color === 'green' && answered !== asker;
    observe(this.#asks, observed, failure ?? `asked by ${asker}, answered through ${answered}`);
  }

  async #announce(): Promise<void> {
    // The client opens its stream in the background.
    for (let waits = 0; waits < 20 && this.#balancer.streamPod === undefined; waits++) await delay(100);
    const { sender, failure } = await this.#sendNews();
    const arrived = failure === undefined && (await this.#hasNews(sender));
    const { streamPod } = this.#balancer;
    const seen = arrived ? `from ${sender}, on the stream at ${streamPod}` : `the news of ${sender} does not arrive`;
    observe(this.#announces, arrived, failure ?? seen);
  }

  async #resume(): Promise<void> {
    const held = this.#fleet.pods.find(({ name }) => name === this.#balancer.streamPod);
    if (!held) {
      this.#screen.note('The client has no GET stream.');
      return observe(this.#resumes, false, 'there is no stream');
    }
    this.#screen.note(await held.kill());
    const { sender, failure } = await this.#sendNews();
    const arrived = failure === undefined && (await this.#hasNews(sender));
    const now = this.#balancer.streamPod;
    observe(this.#resumes, arrived && now !== held.name, failure ?? `from ${held.name} to ${now}, nothing is lost`);
  }

  /** Lets a tool send news from a pod that does not hold the client's stream. */
  async #sendNews(): Promise<{ sender: string; failure?: string }> {
    for (let tries = 0; tries < this.#fleet.pods.length; tries++) {
      const { pods, content, failure } = await this.#visitor.run('announce');
      const sender = (content?.pod as string | undefined) ?? pods[0] ?? 'nobody';
      this.#row('announce', sender, failure ?? 'sends news', failure !== undefined);
      if (failure !== undefined) return { sender, failure };
      if (sender !== this.#balancer.streamPod) return { sender };
    }
    return { sender: 'nobody', failure: 'only the pod with the stream answers' };
  }

  /** Waits for the news of a pod, for as long as a client may take to come back. */
  async #hasNews(sender: string): Promise<boolean> {
    const isThere = (): boolean => this.#visitor.news.includes(`news of ${sender}`);
    const hasStream = this.#balancer.streamPod !== undefined;
    for (let waits = 0; hasStream && waits < 100 && !isThere(); waits++) {
      await delay(100, undefined, { signal: this.#signal });
    }
    this.#row(
      'news',
      this.#balancer.streamPod ?? 'nobody',
      isThere() ? `of ${sender} arrives` : 'does not arrive',
      !isThere()
    );
    const arrived = isThere();
    this.#visitor.news.length = 0;
    return arrived;
  }

  async #crash(opener: string): Promise<void> {
    const pod = this.#fleet.pods.find(({ name }) => name === opener)!;
    this.#screen.note(await pod.kill());
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
      this.#screen.note(`${pod.name} takes the place of ${old.name}`);
      calls.push(await this.#call());
    }
    this.#screen.note('None of the first pods is left.');
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
    this.#screen.row(call, pod, this.#visitor.sessionId.slice(0, 8), outcome, bad);
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
