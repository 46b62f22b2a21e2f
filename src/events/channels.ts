import { builtInModule } from '../runtime.js';
import type { AnypodChannels } from './payloads.js';

/** The part of a channel of `node:diagnostics_channel` that this package uses. */
export interface Channel<T> {
  readonly hasSubscribers: boolean;
  publish(payload: T): void;
  subscribe(listener: (payload: unknown) => void): void;
  unsubscribe(listener: (payload: unknown) => void): boolean;
}

/** A channel of a runtime without `node:diagnostics_channel`: nobody can subscribe. */
const NO_CHANNEL: Channel<unknown> = {
  hasSubscribers: false,
  publish: () => {},
  subscribe: () => {},
  unsubscribe: () => false
};

type Diagnostics = { channel(name: string): Channel<unknown> };

// Channels have no effect until somebody subscribes.
const diagnostics = builtInModule<Diagnostics>('node:diagnostics_channel');

function channel<N extends keyof AnypodChannels>(name: N): Channel<AnypodChannels[N]> {
  return diagnostics?.channel(name) ?? NO_CHANNEL;
}

/** The channels. They carry the events of all pods in this process. */
export const sessions = channel('mcp-anypod:session');
export const exchanges = channel('mcp-anypod:exchange');
export const requests = channel('mcp-anypod:request');
export const streams = channel('mcp-anypod:stream');
export const storeCalls = channel('mcp-anypod:store');
export const busCalls = channel('mcp-anypod:bus');
export const logCalls = channel('mcp-anypod:log');
