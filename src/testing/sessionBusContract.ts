import { randomUUID } from 'node:crypto';
import type { SessionBus } from '../ports/sessionBus.js';
import { equal, eventually } from './assert.js';
import { type Cases, type ContractOptions, runContract } from './contract.js';
import { Fuzz, oddTexts, oneMebibyte } from './samples.js';

/** The bus of two pods: two instances over one backend, or one object if the backend is in an object. */
export interface TwoSessionBuses {
  /** The first pod's bus. */
  first: SessionBus;
  /** The second pod's bus. */
  second: SessionBus;
  /** Closes everything that was opened for the case, including the buses. */
  close?: () => Promise<void>;
}

/** The options of {@link sessionBusContract}. */
export interface SessionBusContractOptions extends ContractOptions<SessionBusCase> {
  /** Called once for each case. */
  makeTwo: () => Promise<TwoSessionBuses>;
}

/** The title of a case. */
export type SessionBusCase = keyof typeof cases;

/** Tests a bus between pods. Each case uses two instances over one backend. */
export function sessionBusContract(options: SessionBusContractOptions): void {
  runContract('session buses', options, [{ cases, make: options.makeTwo }]);
}

const cases = {
  async 'a message reaches the listeners of every instance, including the one that publishes it'({ first, second }) {
    const topic = randomUUID();
    const heard: string[] = [];
    await first.subscribe(topic, text => heard.push(`first ${text}`));
    await second.subscribe(topic, text => heard.push(`second ${text}`));
    await first.publish(topic, 'x');
    await eventually(() => heard.length >= 2, 'both have received it');
    equal(heard.sort(), ['first x', 'second x'], 'the received messages');
  },

  async 'a message without listeners is accepted and lost'({ first, second }) {
    const topic = randomUUID();
    await first.publish(topic, 'lost');
    const heard: string[] = [];
    await second.subscribe(topic, text => heard.push(text));
    await first.publish(topic, 'heard');
    await eventually(() => heard.includes('heard'), 'what is published after the subscription arrives');
    equal(heard, ['heard'], 'and nothing from before it');
  },

  async 'the messages of one publisher on a topic arrive in order'({ first, second }) {
    const topic = randomUUID();
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    const heard = { first: [] as number[], second: [] as number[] };
    await second.subscribe(topic, text => {
      const { from, number } = JSON.parse(text) as { from: keyof typeof heard; number: number };
      heard[from].push(number);
    });
    await Promise.all(
      numbers.flatMap(number => [
        first.publish(topic, JSON.stringify({ from: 'first', number })),
        second.publish(topic, JSON.stringify({ from: 'second', number }))
      ])
    );
    await eventually(() => heard.first.length >= 200 && heard.second.length >= 200, 'all are received');
    equal(heard, { first: numbers, second: numbers }, 'the messages of each publisher');
  },

  async 'topics with unusual names are kept apart'({ first, second }) {
    const run = randomUUID();
    const fuzz = new Fuzz(7);
    const odd = [...oddTexts(), ...Array.from({ length: 20 }, () => fuzz.text())].map(text => run + text);
    const topics = [...new Set([...odd, `${run}*`, `${run}?`, `${run}[*]`, `${run}${'~'.repeat(256)}`])];
    const heard: string[] = [];
    await Promise.all(
      topics.map(topic => second.subscribe(topic, text => heard.push(`${topics.indexOf(topic)}=${text}`)))
    );
    await Promise.all(topics.map((topic, index) => first.publish(topic, String(index))));
    await eventually(() => heard.length >= topics.length, 'all are received');
    equal(heard.toSorted(), topics.map((_, index) => `${index}=${index}`).toSorted(), 'the messages of each topic');
  },

  async 'any text arrives unchanged'({ first, second }) {
    const topic = randomUUID();
    const fuzz = new Fuzz(8);
    const texts = [...oddTexts(), ...Array.from({ length: 100 }, () => JSON.stringify(fuzz.json()))];
    const heard: string[] = [];
    await second.subscribe(topic, text => heard.push(text));
    for (const text of texts) await first.publish(topic, text);
    await eventually(() => heard.length >= texts.length, 'all are received');
    equal(heard, texts, 'the texts');
  },

  async 'a message of 1 MiB arrives'({ first, second }) {
    const topic = randomUUID();
    const text = oneMebibyte();
    const heard: string[] = [];
    await second.subscribe(topic, message => heard.push(message));
    await first.publish(topic, text);
    await first.publish(topic, 'behind it');
    await eventually(() => heard.length >= 2, 'it is received');
    equal(heard, [text, 'behind it'], 'the message, and the one after it');
  },

  async 'the listeners of a topic are served until the last one has left'({ first, second }) {
    const topic = randomUUID();
    const heard: string[] = [];
    const subscribe = (name: string) => second.subscribe(topic, text => heard.push(`${name} ${text}`));
    const [one, two] = [subscribe('one'), subscribe('two')];
    const leave = await two;
    await first.publish(topic, 'a');
    await eventually(() => heard.length === 2, 'both have received it');
    await leave();
    await first.publish(topic, 'b');
    await eventually(() => heard.length === 3, 'the first has received it');
    await (
      await one
    )();
    await subscribe('three');
    await first.publish(topic, 'c');
    await eventually(() => heard.length === 4, 'the third has received it');
    equal(heard, ['one a', 'two a', 'one b', 'three c'], 'the messages that each has received');
  },

  async 'a listener may publish, subscribe and leave'({ first, second }) {
    const [topic, other] = [randomUUID(), randomUUID()];
    const heard: string[] = [];
    const leave = await second.subscribe(topic, text => {
      heard.push(text);
      void leave()
        .then(() => second.subscribe(other, answer => heard.push(answer)))
        .then(() => second.publish(other, 'answer'));
    });
    await first.publish(topic, 'question');
    await eventually(() => heard.length >= 2, 'the answer is received');
    equal(heard, ['question', 'answer'], 'the received messages');
  },

  async 'a listener that throws or rejects affects neither other listeners nor later messages'({ first, second }) {
    const topic = randomUUID();
    const heard: string[] = [];
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      // Applications may throw values that are not an Error.
      const thrown = [new Error('of the application'), null, undefined, 'text'] as Error[];
      for (const each of thrown) {
        await second.subscribe(topic, () => {
          throw each;
        });
        await second.subscribe(topic, () => Promise.reject<never>(each) as unknown as void);
      }
      await second.subscribe(topic, text => heard.push(text));
      await first.publish(topic, 'a');
      await first.publish(topic, 'b');
      await eventually(() => heard.length >= 2, 'both messages arrive');
      // An unhandled rejection is reported after all microtasks of its turn.
      await new Promise(resolve => setImmediate(resolve));
      equal({ heard, unhandled }, { heard: ['a', 'b'], unhandled: [] }, 'what arrived, and what nobody handled');
    } finally {
      process.off('unhandledRejection', note);
    }
  },

  async 'a bus can be closed twice'({ first }) {
    await first.subscribe(randomUUID(), () => {});
    await first.close();
    await first.close();
  }
} satisfies Cases<TwoSessionBuses>;
