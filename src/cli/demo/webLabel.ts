/** The label of a response to a request of the server. */
export const ANSWER = 'answer';

/** A word for a request, for the picture: the tool that it calls, else its JSON-RPC method. */
export function labelOf(method: string, body: Buffer | string): string {
  if (method === 'GET') return 'stream';
  if (method !== 'POST') return method;
  try {
    const message = JSON.parse(body.toString()) as { method?: string; params?: { name?: string } };
    if (message.method === undefined) return ANSWER;
    return message.method === 'tools/call'
      ? (message.params?.name ?? 'call')
      : message.method.replace('notifications/', '');
  } catch {
    return method;
  }
}
