/** The script of a page: a client in a browser. It reports to the server of the page what it has seen. */
import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';

export interface Seen {
  answers?: string[];
  deleted?: boolean;
  failure?: string;
}

async function visit(server: string): Promise<Seen> {
  const client = new Client({ name: 'browser', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(server));
  await client.connect(transport);
  const answers: string[] = [];
  for (let call = 0; call < 4; call++) {
    const { content } = await client.callTool({ name: 'whoami' });
    answers.push((content as { text: string }[])[0]!.text);
  }
  const { sessionId } = transport;
  await transport.terminateSession();
  await client.close();
  return { answers, deleted: sessionId !== undefined };
}

void visit(decodeURIComponent(location.hash.slice(1)))
  .catch((error: unknown): Seen => ({ failure: String(error) }))
  .then(seen => fetch('/seen', { method: 'POST', body: JSON.stringify(seen) }));
