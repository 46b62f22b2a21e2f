export const JSON_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25'
};

/** The handshake of a typical client. */
export const INITIALIZE = {
  jsonrpc: '2.0' as const,
  id: 'open',
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} },
    clientInfo: { name: 'claude-desktop', version: '1.4.2' }
  }
};
export const INITIALIZED = { jsonrpc: '2.0' as const, method: 'notifications/initialized' };

export async function post(origin: string, message: object, sessionId?: string): Promise<Response> {
  const headers = { ...JSON_HEADERS, ...(sessionId !== undefined && { 'mcp-session-id': sessionId }) };
  const response = await fetch(`${origin}/mcp`, { method: 'POST', headers, body: JSON.stringify(message) });
  if (!response.ok) throw new Error(`Answered ${response.status}: ${await response.text()}`);
  return response;
}

/** Opens a session as a client does, and gives its id. */
export async function openSession(origin: string): Promise<string> {
  const opened = await post(origin, INITIALIZE);
  await opened.text();
  const sessionId = opened.headers.get('mcp-session-id');
  if (sessionId === null) throw new Error('The server gave no session id');
  await (await post(origin, INITIALIZED, sessionId)).text();
  return sessionId;
}

export async function openSessions(origin: string, count: number): Promise<string[]> {
  const sessions: string[] = [];
  while (sessions.length < count) {
    const batch = Array.from({ length: Math.min(50, count - sessions.length) }, () => openSession(origin));
    sessions.push(...(await Promise.all(batch)));
  }
  return sessions;
}

/** Calls the echo tool and insists on its answer. */
export async function checkEcho(origin: string, sessionId: string): Promise<void> {
  const params = { name: 'echo', arguments: { text: 'is it there?' } };
  const answer = await post(origin, { jsonrpc: '2.0', id: 'check', method: 'tools/call', params }, sessionId);
  const text = await answer.text();
  if (!text.includes('"text":"is it there?"') || !text.includes('"id":"check"')) throw new Error(`Answered ${text}`);
}
