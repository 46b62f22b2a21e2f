import type { Message } from '../support/clients/rawClient.js';
import type { Client, Id } from './client.js';
import type { Call } from './script.js';

/** A request as it is sent. */
export interface MadeCall {
  readonly label: string;
  readonly message: Message & { id: Id };
  /** Whether it ends what it says on the GET stream with a mark. */
  readonly marks: boolean;
}

/** Makes requests, in the order of their ids. */
export function callMessages(client: Client, calls: readonly Call[], label: string): MadeCall[] {
  return calls.map((call, index) => {
    const own = `${label}.${index}`;
    const marks = call.kind === 'talk' || call.kind === 'log' || (call.kind === 'ask' && call.unrelated);
    return { label: own, message: messageOf(client, call, own), marks };
  });
}

/** How long a server waits for an answer that never comes, and for one that does. */
const NO_ANSWER_MS = 30;
const ANSWER_MS = 6000;

function messageOf(client: Client, call: Call, label: string): Message & { id: Id } {
  switch (call.kind) {
    case 'echo':
    case 'fail':
    case 'subscribed':
    case 'log':
      return client.call(call.kind, { label });
    case 'whoami':
      return client.call('whoami', { expected: client.spec.completes ? 1 : 0 });
    case 'heard':
      return client.call('heard', { expected: client.notified });
    case 'add':
      return client.call('add', { a: 1, b: 2 });
    case 'ping':
      return client.message('ping');
    case 'list tools':
      return client.message('tools/list');
    case 'note':
    case 'talk':
      return client.call(call.kind, { label, count: call.count });
    case 'progress':
      return client.call('progress', { label, count: call.count }, { progressToken: label });
    case 'set level':
      return client.message('logging/setLevel', { level: call.level });
    case 'subscribe':
    case 'unsubscribe':
      return client.message(`resources/${call.kind}`, { uri: call.uri });
    case 'unknown method':
      return client.message('nobody/knows', { of: 'this' });
    case 'unknown tool':
      return client.call('nobody', {});
    case 'bad params':
      return client.message('tools/call', { named: 'nothing' });
    case 'bad arguments':
      return client.call('add', { a: 'one', b: 200 });
    case 'bad level':
      return client.message('logging/setLevel', { level: 'loud' });
    case 'ask': {
      const { question, style, count, unrelated } = call;
      const arrives = unrelated ? client.standalone.attached : !client.options.json;
      const timeoutMs = arrives && style !== 'ignore' ? ANSWER_MS : NO_ANSWER_MS;
      return client.call('ask', { label, kind: question, text: `${label}/${style}`, count, unrelated, timeoutMs });
    }
  }
}
