import { MADE_BY, PACKAGE } from './packageName.js';

/** The key under which an object refers to itself. Through a wrapper, it returns the wrapped object. */
const SELF = Symbol('self');

/**
 * Lets the methods and accessors of a class work on objects that wrap an instance: instrumentation libraries make such
 * objects with `new Proxy(instance, …)` or `Object.create(instance)`, and they have no private fields. Called in a static
 * block of the class, whose constructor calls {@link keepSelf}.
 */
export function throughWrappers({ prototype }: { readonly prototype: object }): void {
  const descriptors: Record<string, PropertyDescriptor> = Object.getOwnPropertyDescriptors(prototype);
  for (const [name, descriptor] of Object.entries(descriptors)) {
    if (name === 'constructor') continue;
    const parts = Object.entries(descriptor).map(([part, inner]: [string, unknown]) => [part, throughSelf(inner)]);
    Object.defineProperty(prototype, name, Object.fromEntries(parts) as PropertyDescriptor);
  }
  noteMaker(prototype);
}

/** Notes that an object is of this package, so that the other package of this repository can refuse it. */
export function noteMaker<T extends object>(made: T): T {
  return Object.defineProperty(made, MADE_BY, { value: PACKAGE });
}

/** Binds a function to the wrapped object. Other values stay unchanged. */
function throughSelf(inner: unknown): unknown {
  if (typeof inner !== 'function') return inner;
  return function (this: { [SELF]?: unknown }, ...args: unknown[]): unknown {
    return Reflect.apply(inner, this[SELF] ?? this, args) as unknown;
  };
}

/** Called first in the constructor of a class that works {@link throughWrappers}. */
export function keepSelf(instance: object): void {
  Object.defineProperty(instance, SELF, { value: instance });
}
