import type { Attributes, Meter, ObservableCounter, ObservableResult } from '@opentelemetry/api';

interface Count {
  readonly attributes: Attributes;
  value: number;
}

/**
 * A counter that keeps its values here until the metrics are collected. The SDK's own counter would hash the attributes of
 * each event, and some events belong to every exchange.
 */
export class Tally {
  readonly #names: readonly [string, string?];
  readonly #counts = new Map<string, Map<string | number, Count>>();
  readonly #counter: ObservableCounter;

  /** @param names - of one or two attributes */
  constructor(meter: Meter, name: string, description: string, ...names: [string, string?]) {
    this.#names = names;
    this.#counter = meter.createObservableCounter(name, { description });
    this.#counter.addCallback(this.#observe);
  }

  /** @param first - the value of the first attribute */
  add(by: number, first = '', second: string | number = ''): void {
    const counts = this.#counts.get(first) ?? new Map<string | number, Count>();
    if (counts.size === 0) this.#counts.set(first, counts);
    const count = counts.get(second);
    if (count) count.value += by;
    else counts.set(second, { attributes: this.#attributes(first, second), value: by });
  }

  stop(): void {
    this.#counter.removeCallback(this.#observe);
  }

  #attributes(first: string, second: string | number): Attributes {
    const [name, other] = this.#names;
    return { ...(name !== '' && { [name]: first }), ...(other !== undefined && { [other]: second }) };
  }

  readonly #observe = (result: ObservableResult): void => {
    for (const counts of this.#counts.values()) {
      for (const { value, attributes } of counts.values()) result.observe(value, attributes);
    }
  };
}
