import { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import {
  type CallToolResult,
  type LoggingLevel,
  RootsListChangedNotificationSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema
} from 'mcp-sdk-upstream/types.js';
import { z } from 'zod';
import { ask, type AskArguments, makeProgress, type ToolExtra, untilAborted } from '../support/pods/askingTools.js';
import { LEVELS } from './script.js';
import { Signals } from './signals.js';

/** The client lets a call that waits go on. */
export const GO = 'notifications/test/go';
/** The last of what a call says on the GET stream, whatever the log level. */
export const MARK = 'notifications/test/mark';
/** How many of the client's notifications have been confirmed to it: a header of each of its requests. */
export const NOTIFIED = 'x-notified';

const GoSchema = z.object({ method: z.literal(GO), params: z.looseObject({ label: z.string() }) });

interface Arguments extends AskArguments {
  /** Of the call; what it says names it. */
  label?: string;
  count?: number;
  before?: number;
  after?: number;
  asks?: boolean;
  poll?: boolean;
  expected?: number;
}

/** The application of which the stock SDK runs one instance for a session, and pods run several. */
export class Application {
  readonly server = new McpServer(
    { name: 'application', version: '1' },
    { capabilities: { logging: {}, resources: { subscribe: true } } }
  );
  readonly #subscriptions = new Set<string>();
  readonly #signals = new Signals();
  readonly #bornAt: number;
  #heard = 0;
  #initialized = 0;

  /** @param bornAt - how many notifications the client had sent when this instance was made */
  constructor(bornAt: number) {
    this.#bornAt = bornAt;
    const { server } = this.server;
    for (const [name, answer] of Object.entries(this.#tools)) {
      this.server.registerTool(name, { inputSchema: z.looseObject({}) }, (args, extra) =>
        this.#call(name, answer, args, extra)
      );
    }
    const inputSchema = { a: z.number(), b: z.number().int().max(10) };
    this.server.registerTool('add', { inputSchema }, ({ a, b }) => text(String(a + b)));
    server.oninitialized = () => this.#signals.set(`initialized ${++this.#initialized}`);
    server.setNotificationHandler(RootsListChangedNotificationSchema, () => {
      this.#signals.set(`heard ${this.#bornAt + ++this.#heard}`);
    });
    server.setNotificationHandler(GoSchema, ({ params }) => this.#signals.set(`go ${params.label}`));
    server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
      this.#subscriptions.add(params.uri);
      return {};
    });
    server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
      this.#subscriptions.delete(params.uri);
      return {};
    });
  }

  async #call(name: string, answer: Tool, args: Arguments, extra: ToolExtra): Promise<CallToolResult> {
    try {
      return text(await answer(args, extra));
    } finally {
      this.#signals.set(`finished ${name} ${args.label}`);
    }
  }

  readonly #tools: Record<string, Tool> = {
    echo: async ({ label }) => `echo ${label}`,
    fail: async ({ label }) => Promise.reject(new Error(`failed ${label}`)),
    note: async ({ label, count = 0 }, extra) => {
      for (let i = 1; i <= count; i++) await note(extra, `${label} note ${i}`);
      return 'noted';
    },
    progress: ({ count = 0 }, extra) => makeProgress({ steps: count, everyMs: 0 }, extra),
    talk: async ({ label, count = 0 }) => {
      for (let i = 1; i <= count; i++) await this.#say('info', `${label} talk ${i}`, undefined);
      await this.#mark(label);
      return 'talked';
    },
    log: async ({ label }, extra) => {
      for (const level of LEVELS) await this.#say(level, `${label} log`, extra.sessionId);
      await this.#mark(label);
      return 'logged';
    },
    ask: async (args, extra) => {
      const answers = await ask(this.server.server, args, extra);
      if (args.unrelated) await this.#mark(args.label);
      return JSON.stringify(answers);
    },
    whoami: async ({ expected = 0 }) => {
      if (expected > 0) await this.#signals.wait(`initialized ${expected}`);
      const { server } = this.server;
      const capabilities = server.getClientCapabilities();
      return JSON.stringify({ client: server.getClientVersion(), capabilities, initialized: this.#initialized });
    },
    subscribed: async () => JSON.stringify([...this.#subscriptions].sort()),
    heard: async ({ expected = 0 }) => {
      if (expected > this.#bornAt) await this.#signals.wait(`heard ${expected}`);
      return `heard ${this.#bornAt + this.#heard}`;
    },
    steps: async ({ label = '', before = 0, after = 0, asks, poll }, extra) => {
      for (let i = 1; i <= before; i++) await note(extra, `${label} step ${i}`);
      if (poll) extra.closeSSEStream?.();
      await this.#signals.wait(`go ${label}`);
      const said = asks ? await ask(this.server.server, { kind: 'ping', text: `${label}/answer` }, extra) : [];
      for (let i = before + 1; i <= before + after; i++) await note(extra, `${label} step ${i}`);
      return `stepped ${JSON.stringify(said)}`;
    },
    hang: async ({ label }, extra) => {
      await note(extra, `${label} hangs`);
      this.#signals.set(`aborted ${label}`, await untilAborted(extra));
      return 'aborted';
    },
    // Asked where the call runs that they are about.
    aborted: async ({ label }) => `aborted: ${await this.#signals.wait(`aborted ${label}`)}`,
    finished: async ({ label }) => `finished: ${await this.#signals.wait(`finished steps ${label}`)}`,
    closeGet: async (_, extra) => {
      extra.closeStandaloneSSEStream?.();
      return extra.closeStandaloneSSEStream ? 'closed' : 'cannot';
    }
  };

  #say(level: LoggingLevel, data: string, sessionId: string | undefined): Promise<void> {
    return this.server.server.sendLoggingMessage({ level, data }, sessionId);
  }

  #mark(label = ''): Promise<void> {
    return this.server.server.notification({ method: MARK, params: { label } });
  }
}

type Tool = (args: Arguments, extra: ToolExtra) => Promise<string>;

function note(extra: ToolExtra, data: string): Promise<void> {
  return extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data } });
}

function text(of: string): CallToolResult {
  return { content: [{ type: 'text', text: of }] };
}
