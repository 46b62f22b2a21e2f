import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  PingRequestSchema,
  type RequestId,
  type Result
} from 'mcp-sdk-upstream/types.js';
import type { AskArguments, Asked } from '../pods/askingTools.js';

export const CAPABILITIES = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };

/** The SDK's own client, which answers everything that a server asks with a repetition of the question's text. */
export class AnsweringClient extends Client {
  /** The ids of the questions, as they were on the wire. */
  readonly questionIds: RequestId[] = [];
  /** Ids of questions that their server took back while they waited here. */
  readonly takenBack: RequestId[] = [];
  /** Questions with this text are not answered. */
  ignored: string | undefined;
  readonly http: StreamableHTTPClientTransport;

  private constructor(url: string) {
    super({ name: 'answering', version: '1' }, { capabilities: CAPABILITIES });
    this.http = new StreamableHTTPClientTransport(new URL(url));
  }

  static async connect(url: string): Promise<AnsweringClient> {
    const client = new AnsweringClient(url);
    client.#answerEverything();
    await client.connect(client.http);
    return client;
  }

  /** Has a tool ask this client. */
  async haveAsked(args: AskArguments): Promise<Asked[]> {
    const { content } = await this.callTool({ name: 'ask', arguments: { ...args } });
    return JSON.parse((content as { text: string }[])[0]!.text) as Asked[];
  }

  async leave(): Promise<void> {
    await this.http.terminateSession();
    await this.close();
  }

  #answerEverything(): void {
    const repeat = async <R extends Result>(
      text: string,
      extra: { requestId: RequestId; signal: AbortSignal },
      rest: R
    ) => {
      this.questionIds.push(extra.requestId);
      if (text === this.ignored) {
        await new Promise(resolve => extra.signal.addEventListener('abort', resolve));
        this.takenBack.push(extra.requestId);
      }
      return { ...rest, _meta: { text } };
    };
    this.setRequestHandler(CreateMessageRequestSchema, ({ params }, extra) => {
      const content = params.messages[0]!.content as { type: 'text'; text: string };
      return repeat(content.text, extra, { model: 'none', role: 'assistant' as const, content });
    });
    this.setRequestHandler(ElicitRequestSchema, ({ params }, extra) =>
      repeat(params.message, extra, { action: 'accept' as const, content: { answer: params.message } })
    );
    this.setRequestHandler(ListRootsRequestSchema, ({ params }, extra) =>
      repeat(String(params?._meta?.text), extra, { roots: [{ uri: 'file:///' }] })
    );
    this.setRequestHandler(PingRequestSchema, ({ params }, extra) => repeat(String(params?._meta?.text), extra, {}));
  }
}
