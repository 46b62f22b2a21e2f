import { setTimeout as delay } from 'node:timers/promises';
import { McpServer } from '@modelcontextprotocol/server';
import { McpServer as FirstServer } from 'mcp-sdk-anypod/server';
import * as z from 'zod/v4';

/** What a tool answers, as JSON. */
export interface Done {
  token: string;
  sessionId: string | undefined;
  pid: number;
  /** What the client has said when it was asked. */
  said?: unknown;
}

interface Arguments {
  token: string;
  ms: number;
  count: number;
  everyMs: number;
}

/** What a tool can do for the client that calls it, in either version of the SDK. */
interface Caller {
  readonly sessionId: string | undefined;
  /** Ends the response, so that the client comes back for the answer. */
  closeStream(): void;
  ask(text: string): Promise<unknown>;
  progress(progress: number, total: number): Promise<void>;
  /** Sends a log message on the stream of the call. */
  log(data: Stamp): Promise<void>;
  /** Sends a log message on the standalone stream. */
  tell(data: Stamp): Promise<void>;
}

/** A notification tells when it was sent. */
interface Stamp {
  token: string;
  at: number;
}

/** Runs the sending of a message that has a token. */
type Send = <T>(token: string, send: () => Promise<T>) => Promise<T>;

type Tool = (args: Arguments, caller: Caller, send: Send) => Promise<unknown>;

/** Each takes its time. What it returns is what the client has said. */
const tools: Readonly<Record<string, Tool>> = {
  async work({ ms }) {
    if (ms > 0) await delay(ms);
  },
  async poll({ ms }, caller) {
    caller.closeStream();
    await delay(ms);
  },
  async ask({ token, ms }, caller, send) {
    if (ms > 0) await delay(ms);
    return send(token, () => caller.ask(token)).catch((error: Error) => error.message);
  },
  steps: ({ token, count, everyMs }, caller, send) =>
    send(token, async () => {
      for (let step = 1; step <= count; step++) {
        await delay(everyMs);
        await caller.progress(step, count);
      }
    }),
  async beat({ token, count, everyMs }, caller, send) {
    for (let i = 0; i < count; i++) {
      await delay(everyMs);
      const stamp = { token: `${token}.${i}`, at: Date.now() };
      await send(stamp.token, () => caller.log(stamp));
    }
  },
  async tell({ token, count }, caller, send) {
    for (let i = 0; i < count; i++) {
      const stamp = { token: `${token}.${i}`, at: Date.now() };
      await send(stamp.token, () => caller.tell(stamp));
    }
  }
};

const info = { name: 'busy', version: '1' };
const capabilities = { logging: {} };
const inputSchema = z.object({
  token: z.string(),
  ms: z.number().default(0),
  count: z.number().default(1),
  everyMs: z.number().default(0)
});
const requestedSchema = { type: 'object' as const, properties: { answer: { type: 'string' as const } } };
const QUESTION_TIMEOUT_MS = 3000;

/** The server of version 1 of the SDK. */
export function makeFirstServer(send: Send): FirstServer {
  const server = new FirstServer(info, { capabilities });
  const tell = (data: Stamp): Promise<void> => server.server.sendLoggingMessage({ level: 'info', data });
  for (const [name, tool] of Object.entries(tools)) {
    server.registerTool(name, { inputSchema: inputSchema.shape }, async (args, extra) => {
      const { sessionId, requestId, sendNotification } = extra;
      const progressToken = extra._meta?.progressToken;
      const said = await tool(
        args,
        {
          sessionId,
          closeStream: () => extra.closeSSEStream?.(),
          async ask(message) {
            const options = { relatedRequestId: requestId, timeout: QUESTION_TIMEOUT_MS };
            return (await server.server.elicitInput({ message, requestedSchema }, options)).content;
          },
          async progress(progress, total) {
            if (progressToken === undefined) return;
            await sendNotification({
              method: 'notifications/progress',
              params: { progressToken, progress, total }
            });
          },
          log: data => sendNotification({ method: 'notifications/message', params: { level: 'info', data } }),
          tell
        },
        send
      );
      return result({ token: args.token, sessionId, pid: process.pid, said });
    });
  }
  return server;
}

/** The server of version 2 of the SDK. */
export function makeServer(send: Send): McpServer {
  const server = new McpServer(info, { capabilities });
  const tell = (data: Stamp): Promise<void> => server.server.sendLoggingMessage({ level: 'info', data });
  for (const [name, tool] of Object.entries(tools)) {
    server.registerTool(name, { inputSchema }, async (args, { sessionId, mcpReq, http }) => {
      const progressToken = mcpReq._meta?.progressToken;
      const said = await tool(
        args,
        {
          sessionId,
          closeStream: () => http?.closeSSE?.(),
          async ask(message) {
            const options = { timeout: QUESTION_TIMEOUT_MS };
            return (await mcpReq.elicitInput({ message, requestedSchema }, options)).content;
          },
          async progress(progress, total) {
            if (progressToken === undefined) return;
            await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total } });
          },
          log: data => mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } }),
          tell
        },
        send
      );
      return result({ token: args.token, sessionId, pid: process.pid, said });
    });
  }
  return server;
}

function result(done: Done): { content: { type: 'text'; text: string }[] } {
  return { content: [{ type: 'text', text: JSON.stringify(done) }] };
}
