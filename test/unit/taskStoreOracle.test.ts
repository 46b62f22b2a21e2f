import { setTimeout as delay } from 'node:timers/promises';
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from 'mcp-sdk-upstream/experimental/tasks/stores/in-memory.js';
import { taskStoreContract } from '../support/contracts/taskStoreContract.js';

taskStoreContract(
  "the SDK's own, in memory",
  async () => {
    const store = new InMemoryTaskStore();
    const queue = new InMemoryTaskMessageQueue();
    return { stores: [store, store], queues: [queue, queue], elapse: delay, close: async () => store.cleanup() };
  },
  {
    gaps: {
      'a call without a session id finds no task of a session': 'it restricts only calls that pass a session id',
      'a task without a session is no task of every session': 'it restricts only tasks that have a session id',
      'a queue of one session is empty for another': 'its queues are of tasks alone, and it relies on the store'
    }
  }
);
