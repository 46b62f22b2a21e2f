import { setTimeout as delay } from 'node:timers/promises';
import type { TaskStore } from '../tasks/sdkTasks.js';
import { type ContractOptions, runContract } from './contract.js';
import { listingCases, lifeCases, sessionCases, statusCases } from './taskStoreCases.js';

/** The task store of two pods: two instances over one backend, or one object if the backend is in an object. */
export interface TwoTaskStores {
  /** The first pod's store. */
  first: TaskStore;
  /** The second pod's store. */
  second: TaskStore;
  /** Lets this time pass for the backend, really or on its own clock. @default waits */
  elapse?: (ms: number) => Promise<void>;
  /** Closes what was opened for the case. */
  close?: () => Promise<void>;
}

/** The options of {@link taskStoreContract}. */
export interface TaskStoreContractOptions extends ContractOptions<TaskStoreCase> {
  /** Called once for each case. What other cases have stored may be there. */
  makeTwo: () => Promise<TwoTaskStores>;
}

/** The title of a case. */
export type TaskStoreCase =
  keyof typeof statusCases | keyof typeof sessionCases | keyof typeof listingCases | keyof typeof lifeCases;

/**
 * Tests a store of the SDK's tasks that pods share. Each case uses two instances over one backend. Error texts, defaults
 * and the size of a page are those of the SDK's store in memory, because the SDK's server sends them to clients.
 */
export function taskStoreContract(options: TaskStoreContractOptions): void {
  const make = async () => ({ elapse: delay, ...(await options.makeTwo()) });
  const groups = [statusCases, sessionCases, listingCases, lifeCases];
  runContract(
    'task stores',
    options,
    groups.map(cases => ({ cases, make }))
  );
}
