import type { Asked } from '../support/pods/askingTools.js';
import type { EventStream } from '../support/clients/eventStream.js';
import type { FollowedRequest, Message } from '../support/clients/rawClient.js';

/** A request of the server. */
export function isQuestion({ id, method }: Message): boolean {
  return id !== undefined && method !== undefined;
}

/** The first question that comes on this stream. */
export async function questionOn({ stream }: { stream: EventStream }): Promise<Message> {
  await stream.until(() => stream.messages.some(isQuestion));
  return stream.messages.find(isQuestion)!;
}

/** The name, in its ids, of the transport that has sent this. */
export function instanceIn({ id }: Message): string {
  return String(id).slice(0, 12);
}

/** The client's answer to an elicitation. */
export function accept(id: unknown, answer: string): Record<string, unknown> {
  return { jsonrpc: '2.0', id, result: { action: 'accept', content: { answer } } };
}

/** What the tool `ask` has answered, in the end. */
export async function answerOf({ id, stream }: FollowedRequest): Promise<Asked[]> {
  await stream.untilEnded();
  const { content } = stream.messages.find(each => each.id === id)!.result as { content: { text: string }[] };
  return JSON.parse(content[0]!.text) as Asked[];
}
