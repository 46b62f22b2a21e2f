import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import {
  CallToolResultSchema,
  ElicitRequestSchema,
  type JSONRPCMessage,
  McpError,
  type RequestId
} from 'mcp-sdk-upstream/types.js';
import type { Done } from '../pods/busyTools.js';

/** What became of one call. */
export interface Call {
  readonly token: string;
  readonly tool: string;
  readonly sentAt: number;
  /** 'answered' also where the answer says that the pod is gone; 'refused' where the POST failed. */
  outcome: 'pending' | 'answered' | 'gone' | 'refused';
  settledAt: number;
  answer: Done | undefined;
  error: unknown;
  /** Whether the client was given a cursor, with which it resumes by itself. */
  hasCursor: boolean;
  /** When the connection of its POST broke. */
  brokenAt: number | undefined;
}

/** The SDK's own client, unchanged, with an account of all that it sent and was sent. */
export class AccountingClient {
  readonly name: string;
  readonly calls: Call[] = [];
  /** How often each notification was heard, by its token. */
  readonly heard = new Map<string, number>();
  /** How often each question was asked. */
  readonly asked = new Map<string, number>();
  /** Progress that was reported, by the token of its call. */
  readonly progress = new Map<string, number[]>();
  /** Milliseconds that each notification was under way. */
  readonly delays: number[] = [];
  /** Responses with an id that had one before. */
  readonly secondAnswers: RequestId[] = [];
  /** Whatever came here and belongs to another. */
  readonly foreign: string[] = [];
  readonly errors: string[] = [];
  /** How often a GET was answered with a stream. */
  streams = 0;
  /** When no such stream was open, once one had been. */
  readonly gaps: { from: number; to: number }[] = [];
  readonly http: StreamableHTTPClientTransport;
  readonly #client: Client;
  readonly #answered = new Set<RequestId>();
  #count = 0;
  #open = 0;
  #closed = false;

  private constructor(name: string, url: string, fetch: typeof globalThis.fetch, maxRetries: number) {
    this.name = name;
    this.http = new StreamableHTTPClientTransport(new URL(url), {
      fetch: (input, init) => this.#watch(fetch, input, init),
      reconnectionOptions: {
        initialReconnectionDelay: 100,
        maxReconnectionDelay: 1000,
        reconnectionDelayGrowFactor: 1.5,
        maxRetries
      }
    });
    this.#client = new Client({ name, version: '1' }, { capabilities: { elicitation: { form: {} } } });
    this.#client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      this.#note(this.asked, params.message);
      return { action: 'accept', content: { answer: `${this.name} says ${params.message}` } };
    });
  }

  /** @param maxRetries - how often in a row a stream's resumption may fail before the client gives the stream up */
  static async connect(
    name: string,
    url: string,
    { fetch = globalThis.fetch, maxRetries = 2 }: { fetch?: typeof globalThis.fetch; maxRetries?: number } = {}
  ): Promise<AccountingClient> {
    const client = new AccountingClient(name, url, fetch, maxRetries);
    await client.#client.connect(client.http);
    client.#look();
    return client;
  }

  get sessionId(): string | undefined {
    return this.http.sessionId;
  }

  /** What was heard or asked more than once. */
  get doubled(): string[] {
    return [...this.heard, ...this.asked].filter(([, count]) => count > 1).map(([token]) => token);
  }

  /** Calls a tool with a token of its own; settles when the call has an outcome, and never throws. */
  call(tool: string, args: Record<string, unknown> = {}): Promise<Call> {
    return this.request('tools/call', tool, args);
  }

  async request(method: string, tool = '', args: Record<string, unknown> = {}): Promise<Call> {
    const call: Call = {
      token: `${this.name}/${this.#count++}`,
      tool,
      sentAt: Date.now(),
      outcome: 'pending',
      settledAt: 0,
      answer: undefined,
      error: undefined,
      hasCursor: false,
      brokenAt: undefined
    };
    this.calls.push(call);
    const progress: number[] = [];
    this.progress.set(call.token, progress);
    try {
      const result = await this.#client.request(
        { method, params: { name: tool, arguments: { token: call.token, ...args } } },
        CallToolResultSchema,
        {
          timeout: 2 ** 30,
          onresumptiontoken: () => void (call.hasCursor = true),
          onprogress: made => void progress.push(made.progress)
        }
      );
      call.answer = this.#read(call, result.content);
      call.outcome = 'answered';
    } catch (error) {
      call.error = error;
      call.outcome = error instanceof McpError ? 'gone' : 'refused';
    }
    call.settledAt = Date.now();
    return call;
  }

  /** Ends the session and leaves. */
  async leave(): Promise<void> {
    await this.http.terminateSession();
    await this.close();
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#client.close();
  }

  #read(call: Call, content: unknown): Done {
    const text = (content as { text: string }[])[0]?.text ?? '';
    const done = JSON.parse(text) as Done;
    if (done.token !== call.token || done.sessionId !== this.sessionId) this.foreign.push(text);
    return done;
  }

  /** Sees every message before the client does. */
  #look(): void {
    const onmessage = this.http.onmessage;
    this.http.onmessage = (message: JSONRPCMessage) => {
      this.#account(message);
      onmessage?.(message);
    };
    const onerror = this.http.onerror;
    this.http.onerror = error => {
      this.errors.push(String(error));
      onerror?.(error);
    };
  }

  #account(message: JSONRPCMessage): void {
    if (!('method' in message)) {
      const { id } = message;
      if (id === undefined) return;
      if (this.#answered.has(id)) this.secondAnswers.push(id);
      this.#answered.add(id);
    } else if (message.method === 'notifications/message') {
      const { token, at } = message.params?.data as { token: string; at: number };
      this.#note(this.heard, token);
      this.delays.push(Date.now() - at);
    }
  }

  #note(counts: Map<string, number>, token: string): void {
    counts.set(token, (counts.get(token) ?? 0) + 1);
    if (!token.startsWith(`${this.name}/`)) this.foreign.push(token);
  }

  /** Notes where a call's own connection breaks: without a cursor the client never learns of it. */
  async #watch(
    fetch: typeof globalThis.fetch,
    input: string | URL | Request,
    init: RequestInit | undefined
  ): Promise<Response> {
    // The SDK's transport goes on reconnecting streams after it was closed, unless it is told that there are none.
    if (this.#closed) return new Response(null, { status: 405 });
    const response = await fetch(input, init);
    if (init?.method === 'GET') return response.status === 200 ? this.#watchStream(response) : response;
    const token = typeof init?.body === 'string' ? /"token":"([^"]+)"/.exec(init.body)?.[1] : undefined;
    const call = this.calls.findLast(each => each.token === token);
    return call ? watched(response, cut => void (cut && (call.brokenAt ??= Date.now()))) : response;
  }

  #watchStream(response: Response): Response {
    this.streams++;
    if (this.#open++ === 0 && this.gaps.length > 0) this.gaps.at(-1)!.to = Date.now();
    return watched(response, () => {
      if (--this.#open === 0) this.gaps.push({ from: Date.now(), to: Infinity });
    });
  }
}

/** The same response; `onend` is told when its body ends, and whether it was cut. */
function watched(response: Response, onend: (cut: boolean) => void): Response {
  if (!response.body) return response;
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        onend(false);
        controller.close();
      } catch (error) {
        onend(true);
        controller.error(error);
      }
    },
    cancel: reason => reader.cancel(reason)
  });
  return new Response(body, response);
}
