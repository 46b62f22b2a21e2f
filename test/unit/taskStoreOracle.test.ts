import { taskMessageQueueContract, taskStoreContract } from 'mcp-sdk-anypod/testing';
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from 'mcp-sdk-upstream/experimental/tasks/stores/in-memory.js';

taskStoreContract({
  describe,
  it,
  name: "the SDK's task store in memory",
  makeTwo: async () => {
    const store = new InMemoryTaskStore();
    return { first: store, second: store, close: async () => store.cleanup() };
  },
  gaps: {
    'a call without a session id does not find the task of a session':
      'it checks the session only of calls that pass a session id',
    'a call with a session id does not find a task without a session':
      'it checks the session only of tasks that have a session id'
  }
});

taskMessageQueueContract({
  describe,
  it,
  name: "the SDK's queue of task messages in memory",
  makeTwo: async () => {
    const queue = new InMemoryTaskMessageQueue();
    return { first: queue, second: queue };
  },
  gaps: {
    'the queue of one session is empty for another session':
      'its queues belong to tasks alone; the task store checks the session'
  }
});
