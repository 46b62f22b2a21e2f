import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { ElicitRequestSchema, LoggingMessageNotificationSchema } from 'mcp-sdk-upstream/types.js';
import type { Balancer } from './balancer.js';
import type { Pod } from './fleet.js';
import type { WhoAmI } from './whoAmIServer.js';

const clientInfo = { name: 'demo', version: '1.2.3' };
const capabilities = { elicitation: {}, sampling: {} };

/** A call of `whoami`: its route, and the answer or the error. */
export interface Call {
  pod: string;
  refusedBy: string[];
  answer?: WhoAmI;
  failure?: string;
  /** Whether that pod answered, and its server knows the client's data from the handshake. */
  ok: boolean;
}

/** The demo's client: the SDK's own. It knows one address and no pods. */
export class Visitor {
  readonly #balancer: Balancer;
  readonly #client = new Client(clientInfo, { capabilities });
  readonly #transport: StreamableHTTPClientTransport;
  #sessionId = '';
  /** What arrived on the GET stream. */
  readonly news: string[] = [];

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
    this.#transport = new StreamableHTTPClientTransport(balancer.url);
    this.#client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { color: 'green' } }));
    this.#client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      this.news.push(String(params.data));
    });
  }

  /** The transport's session id, kept after the transport has dropped it. */
  get sessionId(): string {
    return (this.#sessionId = this.#transport.sessionId ?? this.#sessionId);
  }

  async connect(): Promise<void> {
    await this.#client.connect(this.#transport);
  }

  async whoami(): Promise<Call> {
    const outcome: Pick<Call, 'answer' | 'failure'> = await this.#client
      .callTool({ name: 'whoami' }, undefined, { timeout: 5000 })
      .then(
        result => ({ answer: result.structuredContent as WhoAmI }),
        (error: unknown) => ({ failure: reasonOf(error) })
      );
    const { pod, refusedBy } = this.#balancer.served.at(-1)!;
    const { answer } = outcome;
    return { ...outcome, pod, refusedBy, ok: answer !== undefined && answer.pod === pod && knowsVisitor(answer) };
  }

  /** Calls a tool. @returns what it answers, and the pods of the requests that this took, the call's first */
  async run(name: string): Promise<{ pods: string[]; content?: Record<string, unknown>; failure?: string }> {
    const before = this.#balancer.served.length;
    const outcome = await this.#client.callTool({ name }, undefined, { timeout: 5000 }).then(
      result => ({ content: result.structuredContent as Record<string, unknown> }),
      (error: unknown) => ({ failure: reasonOf(error) })
    );
    return { ...outcome, pods: this.#balancer.served.slice(before).map(({ pod }) => pod) };
  }

  /** The answer of a pod to a call in this session without a balancer: the HTTP status and the message. */
  async askDirectly(pod: Pod): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${pod.port}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': this.sessionId
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } })
    });
    const said = /"message":"([^"]*)"/.exec(await response.text())?.[1];
    return `${response.status} ${said ?? response.statusText}`;
  }

  /** Deletes the session. */
  async deleteSession(): Promise<void> {
    await this.#transport.terminateSession();
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

function knowsVisitor({ client, capabilities: known }: WhoAmI): boolean {
  const said = Object.keys(capabilities).sort().join();
  return client === `${clientInfo.name} ${clientInfo.version}` && known.join() === said;
}

/** The HTTP status and the JSON-RPC message, if the error of the SDK's client has them. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message: string };
  const said = /"message":"([^"]*)"/.exec(message)?.[1] ?? message.replace('Streamable HTTP error: ', '');
  return typeof code === 'number' ? `${code} ${said}` : said;
}
