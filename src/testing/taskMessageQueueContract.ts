import { randomUUID } from 'node:crypto';
import type { QueuedMessage, TaskMessageQueue } from '../tasks/sdkTasks.js';
import { equal, rejectsWith } from './assert.js';
import { type Cases, type ContractOptions, runContract } from './contract.js';

/** The queue of two pods: two instances over one backend, or one object if the backend is in an object. */
export interface TwoTaskMessageQueues {
  /** The first pod's queue. */
  first: TaskMessageQueue;
  /** The second pod's queue. */
  second: TaskMessageQueue;
  /** Closes what was opened for the case. */
  close?: () => Promise<void>;
}

/** The options of {@link taskMessageQueueContract}. */
export interface TaskMessageQueueContractOptions extends ContractOptions<TaskMessageQueueCase> {
  /** Called once for each case. What other cases have stored may be there. */
  makeTwo: () => Promise<TwoTaskMessageQueues>;
}

/** The title of a case. */
export type TaskMessageQueueCase = keyof typeof cases;

/** Tests a queue of task messages that pods share. Each case uses two instances over one backend. */
export function taskMessageQueueContract(options: TaskMessageQueueContractOptions): void {
  runContract('task message queues', options, [{ cases, make: options.makeTwo }]);
}

const cases = {
  async 'a queue returns its messages unchanged, in the order in which they were added'({ first, second }) {
    const taskId = randomUUID();
    const messages = [request(0), notification('ü"\u0000'), request('text id'), response(1), failure(2), request(0)];
    for (const [i, message] of messages.entries()) await (i % 2 ? second : first).enqueue(taskId, message, 's');
    const taken: unknown[] = [];
    for (let i = 0; i < messages.length; i++) taken.push(await (i % 2 ? first : second).dequeue(taskId, 's'));
    equal(taken, messages, 'the messages');
    equal(await first.dequeue(taskId, 's'), undefined, 'the result of an empty queue');
  },

  async 'each message is returned to one caller only'({ first, second }) {
    const taskId = randomUUID();
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    for (const number of numbers) await first.enqueue(taskId, notification(number), 's');
    const calls = Array.from({ length: 30 }, (_, i) => (i % 2 ? second : first).dequeue(taskId, 's'));
    const taken = (await Promise.all(calls)).flatMap(message =>
      message?.type === 'notification' ? [message.message.params?.data as number] : []
    );
    equal(
      taken.toSorted((a, b) => a - b),
      numbers,
      'the messages that were returned'
    );
  },

  async 'dequeueAll returns all messages in order and leaves an empty queue'({ first, second }) {
    const taskId = randomUUID();
    equal(await first.dequeueAll(taskId, 's'), [], 'the messages of an empty queue');
    const messages = [notification(1), request(7), response(3)];
    for (const message of messages) await first.enqueue(taskId, message, 's');
    equal(await second.dequeueAll(taskId, 's'), messages, 'the messages');
    equal(await first.dequeue(taskId, 's'), undefined, 'the next message');
    equal(await first.dequeueAll(taskId, 's'), [], 'the messages after that');
  },

  async 'a queue with a maximum size refuses further messages'({ first, second }) {
    const taskId = randomUUID();
    const add = (queue: TaskMessageQueue, data: number, maxSize?: number): Promise<void> =>
      queue.enqueue(taskId, notification(data), 's', maxSize);
    await rejectsWith(add(first, 0, 0), overflow(0, 0));
    await add(first, 1, 2);
    await add(second, 2, 2);
    await rejectsWith(add(first, 3, 2), overflow(2, 2));
    await add(first, 4);
    await rejectsWith(add(second, 5, 2), overflow(3, 2));
    await second.dequeue(taskId, 's');
    await second.dequeue(taskId, 's');
    await add(first, 6, 2);
    equal(await second.dequeueAll(taskId, 's'), [notification(4), notification(6)], 'the messages');
  },

  async 'two pods that add messages at the same time do not exceed the maximum size'({ first, second }) {
    const taskId = randomUUID();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? second : first).enqueue(taskId, notification(i), 's', 5))
    );
    equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 5, 'the number of accepted messages');
    equal((await first.dequeueAll(taskId, 's')).length, 5, 'the number of messages in the queue');
  },

  async 'each task has its own queue, also without a session id'({ first, second }) {
    const [one, other] = [randomUUID(), randomUUID()];
    await first.enqueue(one, notification(1));
    await first.enqueue(other, notification(2));
    equal(await second.dequeueAll(one), [notification(1)], 'the messages of the first task');
    equal(await second.dequeue(other), notification(2), 'the message of the second task');
  },

  async 'the queue of one session is empty for another session'({ first, second }) {
    const taskId = randomUUID();
    await first.enqueue(taskId, notification('secret'), 'mine');
    equal(await second.dequeue(taskId, 'other'), undefined, 'the message for another session');
    equal(await second.dequeueAll(taskId, 'other'), [], 'the messages for another session');
    await second.enqueue(taskId, notification('planted'), 'other');
    equal(await first.dequeueAll(taskId, 'mine'), [notification('secret')], 'the messages of the session');
  }
} satisfies Cases<TwoTaskMessageQueues>;

/** As the SDK's queue in memory says it. */
function overflow(size: number, maxSize: number): string {
  return `Task message queue overflow: queue size (${size}) exceeds maximum (${maxSize})`;
}

function request(id: string | number): QueuedMessage {
  const params = { message: 'ü', requestedSchema: { type: 'object', properties: {} } };
  return { type: 'request', timestamp: 1, message: { jsonrpc: '2.0', id, method: 'elicitation/create', params } };
}

function notification(data: unknown): QueuedMessage {
  const message = { jsonrpc: '2.0' as const, method: 'notifications/message', params: { level: 'info', data } };
  return { type: 'notification', timestamp: 2, message };
}

function response(id: number): QueuedMessage {
  return { type: 'response', timestamp: 3, message: { jsonrpc: '2.0', id, result: { list: [], empty: {} } } };
}

function failure(id: number): QueuedMessage {
  return { type: 'error', timestamp: 4, message: { jsonrpc: '2.0', id, error: { code: -1, message: 'x', data: [] } } };
}
