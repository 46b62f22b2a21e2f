import type { Message } from '../support/clients/rawClient.js';
import type { Style } from './script.js';

/** What the client says to a question, message by message: nothing else but the question decides it. */
export function answersTo(question: Message): Record<string, unknown>[] {
  const { id } = question;
  const label = labelOf(question);
  const style = label.split('/')[1] as Style;
  const answer = { jsonrpc: '2.0', id, result: resultFor(question, label, style === 'decline') };
  switch (style) {
    case 'ignore':
      return [];
    case 'fail':
      return [{ jsonrpc: '2.0', id, error: { code: -7, message: `no to ${label}`, data: { label } } }];
    case 'nonsense':
      return [{ jsonrpc: '2.0', id, result: { nonsense: label, action: 7, roots: 7 } }];
    case 'twice':
      return [answer, { ...answer, result: { again: true } }];
    case 'progress':
      return [progress(question, 1), progress(question, 2), answer];
    default:
      return [answer];
  }
}

/** What a question is known by in transcripts. */
export function labelOf({ params = {} }: Message): string {
  const [first] = (params.messages ?? []) as { content: { text: string } }[];
  const meta = params._meta as { text?: string } | undefined;
  return (params.message as string | undefined) ?? first?.content.text ?? meta?.text ?? 'nothing';
}

function resultFor({ method }: Message, label: string, declines: boolean): Record<string, unknown> {
  switch (method) {
    case 'elicitation/create':
      return declines ? { action: 'decline' } : { action: 'accept', content: { answer: `to ${label}` } };
    case 'sampling/createMessage':
      return { role: 'assistant', model: declines ? 'none' : 'some', content: { type: 'text', text: `of ${label}` } };
    case 'roots/list':
      return { roots: declines ? [] : [{ uri: `file:///${label}`, name: label }] };
    default:
      return {};
  }
}

function progress({ params }: Message, made: number): Record<string, unknown> {
  const { progressToken } = params?._meta as { progressToken: string | number };
  return { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: made, total: 2 } };
}
