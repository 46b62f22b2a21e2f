import { createMcpHandler, type McpHandler, type ServerContext } from 'mcp-sdk-anypod';
import { Server } from 'mcp-sdk-anypod/server';
import {
  CallToolRequestSchema,
  ElicitResultSchema,
  type ServerNotification,
  SetLevelRequestSchema,
  SubscribeRequestSchema
} from 'mcp-sdk-anypod/types.js';
import { type Backends, Links } from './services.js';
import { SimProcess, type World } from './world.js';

export interface FleetOptions {
  readonly log: boolean;
  readonly takeover: boolean;
  readonly leaseMs: number;
  readonly sessionFreshnessMs: number;
}

/** What servers have done, as they know it: what clients see is compared with this. */
export interface Truth {
  /** Tokens of the calls that a server has been given, and how often. */
  readonly begun: Map<string, number>;
  /** Tokens of notifications on the GET stream whose `send` resolved while nothing was wrong with the pod's links. */
  readonly told: Set<string>;
  /** What `onerror` was given, by message. */
  readonly errors: Map<string, number>;
}

/** One pod: the handler as users have it, with connections that the history can cut. */
export class SimPod {
  readonly name: string;
  readonly process: SimProcess;
  readonly links: Links;
  readonly handler: McpHandler;
  /** Whether the balancer sends requests here. */
  inService = true;
  draining = false;
  /** Called when the process is gone: its connections break. */
  onkilled: () => void = () => {};
  readonly #world: World;
  readonly #truth: Truth;

  constructor(name: string, world: World, backends: Backends, options: FleetOptions, truth: Truth) {
    this.name = name;
    this.#world = world;
    this.#truth = truth;
    this.process = new SimProcess(name);
    this.links = new Links(backends, this.process);
    const { log, takeover, leaseMs, sessionFreshnessMs } = options;
    this.handler = createMcpHandler(({ jsonSchemaValidator }) => this.#server(jsonSchemaValidator), {
      sessionStore: this.links.store,
      ...(log && { eventStore: this.links.log, retryInterval: 100 }),
      standaloneStream: takeover ? 'takeover' : 'reject',
      leaseMs,
      sessionFreshnessMs,
      onerror: error => {
        const text = error.message.replace(/[0-9a-f]{8,}/g, '…');
        truth.errors.set(text, (truth.errors.get(text) ?? 0) + 1);
        world.note(
          () => `${name} onerror: ${error.message} ${String((error.cause as Error | undefined)?.message ?? '')}`
        );
      }
    });
  }

  kill(): void {
    this.process.kill();
    this.links.cut();
    this.inService = false;
    this.onkilled();
  }

  /** As on SIGTERM: the balancer learns of it, and the pod finishes what it has. */
  drain(): void {
    this.inService = false;
    this.draining = true;
    this.process.enter(() => void this.handler.close({ drainMs: 10_000 }).then(() => this.kill()));
  }

  #server(jsonSchemaValidator: ServerContext['jsonSchemaValidator']): Server {
    const server = new Server(
      { name: 'simulated', version: '1' },
      { capabilities: { tools: {}, logging: {}, resources: { subscribe: true } }, jsonSchemaValidator }
    );
    server.setRequestHandler(SetLevelRequestSchema, async () => ({}));
    server.setRequestHandler(SubscribeRequestSchema, async () => ({}));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      const { token, ms, count } = params.arguments as { token: string; ms: number; count: number };
      const sessionId = extra.sessionId ?? '';
      this.#truth.begun.set(token, (this.#truth.begun.get(token) ?? 0) + 1);
      this.#world.note(() => `${this.name} runs ${params.name} ${token}`);
      const answer = (text: string) => ({ content: [{ type: 'text' as const, text }], _meta: { token, sessionId } });
      switch (params.name) {
        case 'slow':
          await new Promise(resolve => setTimeout(resolve, ms));
          return answer(token);
        case 'progress':
          for (let i = 0; i < count; i++) {
            await extra.sendNotification(logged(`${token}.${i}`, sessionId));
            await new Promise(resolve => setTimeout(resolve, ms / count));
          }
          return answer(token);
        case 'ask':
        case 'askAlone': {
          const ask = { method: 'elicitation/create', params: elicitation(token, sessionId) } as const;
          const reply =
            params.name === 'ask'
              ? await extra.sendRequest(ask, ElicitResultSchema, { timeout: ASK_TIMEOUT_MS })
              : await server.request(ask, ElicitResultSchema, { timeout: ASK_TIMEOUT_MS });
          return answer(String(reply.content?.token));
        }
        case 'tell':
          for (let i = 0; i < count; i++) {
            const isSafe = this.links.healthy;
            await server.notification(logged(`${token}.${i}`, sessionId));
            if (isSafe && this.links.healthy) this.#truth.told.add(`${token}.${i}`);
          }
          return answer(token);
        default:
          return answer(token);
      }
    });
    return server;
  }
}

/** How long a server waits for its client's answer. */
export const ASK_TIMEOUT_MS = 20_000;

function logged(token: string, sessionId: string): ServerNotification {
  return { method: 'notifications/message', params: { level: 'error', data: { token, sessionId } } };
}

function elicitation(token: string, sessionId: string) {
  const requestedSchema = { type: 'object' as const, properties: { token: { type: 'string' as const } } };
  return { message: token, requestedSchema, _meta: { token, sessionId } };
}
