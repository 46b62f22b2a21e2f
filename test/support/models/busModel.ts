import fc from 'fast-check';
import type { SessionBus } from 'mcp-sdk-anypod';
import { seed } from './seed.js';

/** Three buses on one backend, as three pods have them. */
export interface BusSystem {
  readonly buses: readonly SessionBus[];
  topic(name: string): string;
  /** Whether a listener also gets what was on its way to another listener of the same bus when it subscribed. */
  readonly deliversEarlier?: boolean;
  settle?<T>(call: Promise<T>): Promise<T>;
}

interface Listener {
  readonly topic: string;
  readonly received: string[];
  /** By publisher, what it must receive, in this order. */
  readonly expected: string[][];
  /** What was published before. */
  readonly earlier: readonly string[];
  ended: boolean;
  readonly end: () => Promise<void>;
}

class BusModel {
  readonly listeners: Listener[] = [];
  published = 0;
  readonly topics = new Map<string, string[]>();
}

type Step =
  | { readonly kind: 'subscribe'; readonly bus: number; readonly topic: string }
  | { readonly kind: 'publish'; readonly bus: number; readonly topic: string; readonly count: number }
  | { readonly kind: 'unsubscribe'; readonly listener: number };

class BusCommand implements fc.AsyncCommand<BusModel, BusSystem> {
  readonly #step: Step;

  constructor(step: Step) {
    this.#step = step;
  }

  check({ listeners }: Readonly<BusModel>): boolean {
    const step = this.#step;
    return step.kind !== 'unsubscribe' || listeners[step.listener]?.ended === false;
  }

  toString(): string {
    return JSON.stringify(this.#step);
  }

  async run(model: BusModel, system: BusSystem): Promise<void> {
    const step = this.#step;
    const settle = <T>(call: Promise<T>): Promise<T> => system.settle?.(call) ?? call;
    if (step.kind === 'unsubscribe') {
      const listener = model.listeners[step.listener]!;
      listener.ended = true;
      return settle(listener.end());
    }
    const bus = system.buses[step.bus]!;
    const topic = system.topic(step.topic);
    if (step.kind === 'subscribe') {
      const received: string[] = [];
      const end = await settle(bus.subscribe(topic, message => void received.push(message)));
      const earlier = [...(model.topics.get(topic) ?? [])];
      model.listeners.push({ topic, received, expected: system.buses.map(() => []), earlier, ended: false, end });
      return;
    }
    const messages = Array.from({ length: step.count }, () => `${step.bus}:${model.published++}`);
    model.topics.set(topic, [...(model.topics.get(topic) ?? []), ...messages]);
    for (const listener of model.listeners) {
      if (listener.topic === topic && !listener.ended) listener.expected[step.bus]!.push(...messages);
    }
    // Not one after the other: each must arrive behind the one before all the same.
    await settle(Promise.all(messages.map(message => bus.publish(topic, message))));
  }
}

/** Every listener has received what was published while it listened: all of it, once, in the order of each publisher. */
async function checkListeners({ listeners }: BusModel, system: BusSystem): Promise<void> {
  const settle = <T>(call: Promise<T>): Promise<T> => system.settle?.(call) ?? call;
  const open = listeners.filter(({ ended }) => !ended);
  // Behind these, nothing of their publishers can follow.
  for (const topic of new Set(open.map(listener => listener.topic))) {
    for (const [index, bus] of system.buses.entries()) await settle(bus.publish(topic, `${index}:end`));
  }
  const isOver = (): boolean =>
    open.every(({ received }) => received.filter(message => message.endsWith(':end')).length >= system.buses.length);
  for (let turns = 0; !isOver() && turns < 1000; turns++) await settle(new Promise(resolve => setTimeout(resolve, 5)));
  for (const { received, expected, ended, earlier } of listeners) {
    for (const [index, messages] of expected.entries()) {
      const isEarly = (message: string): boolean => system.deliversEarlier === true && earlier.includes(message);
      const all = received.filter(message => message.startsWith(`${index}:`));
      const ofPublisher = all.filter(message => !isEarly(message));
      // In the order in which they were published, each once, and before the others.
      expect(all.filter(isEarly)).toEqual(earlier.filter(message => all.includes(message)));
      expect(all.slice(all.length - ofPublisher.length)).toEqual(ofPublisher);
      if (ended) expect(messages).toEqual(expect.arrayContaining(ofPublisher));
      else expect(ofPublisher).toEqual([...messages, `${index}:end`]);
    }
  }
}

const bus = fc.nat(2);
const topic = fc.constantFrom('a', 'b');
const steps: fc.Arbitrary<Step>[] = [
  fc.record({ kind: fc.constant('subscribe' as const), bus, topic }),
  fc.record({ kind: fc.constant('publish' as const), bus, topic, count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('publish' as const), bus, topic, count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('unsubscribe' as const), listener: fc.nat(5) })
];

/** Plays generated sequences on three buses of one backend. @param runs - how many */
export async function holdsBusModel(make: () => BusSystem | Promise<BusSystem>, runs: number): Promise<void> {
  const sequences = fc.commands(
    steps.map(step => step.map(each => new BusCommand(each))),
    { maxCommands: 25, size: 'max' }
  );
  const property = fc.asyncProperty(sequences, async commands => {
    const real = await make();
    const model = new BusModel();
    await fc.asyncModelRun(() => ({ model, real }), commands);
    await checkListeners(model, real);
    for (const listener of model.listeners)
      if (!listener.ended) await (real.settle?.(listener.end()) ?? listener.end());
  });
  await fc.assert(property, { seed, numRuns: runs });
}
