import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { startRoundRobin } from '../servers/roundRobin.js';

/** The SDK's own client, connected. */
export interface SdkClient {
  readonly sessionId: string;
  /** The text that a tool answers. */
  call(name: string, args?: Record<string, unknown>): Promise<string>;
  /** Ends the session. */
  delete(): Promise<void>;
  /** Leaves, without ending the session. */
  close(): Promise<void>;
}

/**
 * @param sessionId - goes on with this session; without it, a new one is opened
 * @param headers - sent with every request
 */
export async function connect(
  origin: string,
  sessionId?: string,
  headers: Record<string, string> = {}
): Promise<SdkClient> {
  const client = new Client({ name: 'Ada', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', origin), { sessionId, requestInit: { headers } });
  await client.connect(transport);
  return {
    sessionId: transport.sessionId!,
    async call(name, args) {
      const { content } = await client.callTool({ name, arguments: args });
      return (content as { text: string }[])[0]!.text;
    },
    delete: () => transport.terminateSession(),
    close: () => client.close()
  };
}

/** What `call` gives when it is called so many times, one after the other. */
export async function callTimes(times: number, client: SdkClient, name: string): Promise<string[]> {
  const answers: string[] = [];
  while (answers.length < times) answers.push(await client.call(name));
  return answers;
}

/** The different answers of the tool `whoami` that one session gets behind a balancer of these pods. */
export async function whoAmIByTurns(pods: readonly { port: number }[]): Promise<Set<string>> {
  const balancer = await startRoundRobin(pods.map(({ port }) => port));
  const client = await connect(balancer.origin);
  const answers = await callTimes(2 * pods.length, client, 'whoami');
  await client.close();
  await balancer.stop();
  return new Set(answers);
}
