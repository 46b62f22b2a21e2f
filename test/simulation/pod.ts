import { createMcpHandler, type McpHandler, type ServerContext } from 'mcp-sdk-anypod';
import { Server } from 'mcp-sdk-anypod/server';
import {
  CallToolRequestSchema,
  ElicitResultSchema,
  RootsListChangedNotificationSchema,
  type ServerNotification,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema
} from 'mcp-sdk-anypod/types.js';
import type { Violation } from './laws.js';
import type { Plan, PodPlan } from './plan.js';
import { type Backends, Links } from './services.js';
import { SimProcess, type World } from './world.js';

/** What servers have done, as they know it: what clients see is compared with this. */
export interface Truth {
  /** By token of a call, the pods whose servers were given it. */
  readonly begun: Map<string, SimPod[]>;
  /** Tokens of notifications whose `send` resolved while nothing was wrong with the pod's links, and when they were sent. */
  readonly told: Map<string, number>;
  /** By token of a call, when its server answered it last. */
  readonly finished: Map<string, number>;
  /** Tokens of questions whose client has reported progress. */
  readonly progressed: Set<string>;
  /** What `onerror` was given, by message. */
  readonly errors: Map<string, number>;
}

/** What a server knows about its client. It adds it to each answer. */
export interface Knowledge {
  client: string | undefined;
  elicits: boolean;
  initialized: number;
  level: string | undefined;
  uris: string[];
}

/** One pod: the handler as users have it, with connections that the history can cut. */
export class SimPod {
  readonly name: string;
  readonly plan: PodPlan;
  readonly process: SimProcess;
  readonly links: Links;
  readonly handler: McpHandler;
  /** Whether the balancer sends requests here. */
  inService = true;
  draining = false;
  /** Whether it was ever paused. */
  wasPaused = false;
  /** Called when the process is gone: its connections break. */
  onkilled: () => void = () => {};
  readonly #world: World;
  readonly #truth: Truth;
  readonly #fleet: Plan;
  readonly #violation: Violation;
  /** The servers that are not closed, with the session that they were made to recover. */
  readonly #servers = new Map<Server, string | undefined>();
  readonly #recovered = new Set<string>();

  constructor(
    name: string,
    plan: PodPlan,
    fleet: Plan,
    world: World,
    backends: Backends,
    truth: Truth,
    violation: Violation
  ) {
    this.name = name;
    this.plan = plan;
    this.#fleet = fleet;
    this.#world = world;
    this.#truth = truth;
    this.#violation = violation;
    this.process = new SimProcess(name);
    this.links = new Links(backends, this.process, plan);
    this.handler = createMcpHandler(context => this.#server(context), {
      sessionStore: this.links.store,
      ...(plan.log && { eventStore: this.links.log, retryInterval: 100 }),
      standaloneStream: fleet.takeover ? 'takeover' : 'reject',
      leaseMs: plan.leaseMs,
      sessionFreshnessMs: fleet.sessionFreshnessMs,
      idleTimeoutMs: fleet.idleTimeoutMs,
      maxLiveSessions: fleet.maxLiveSessions,
      onsessionrecovered: sessionId => void this.#recovered.add(sessionId),
      onerror: error => {
        const text = error.message.replace(/[0-9a-f]{8,}/g, '…');
        truth.errors.set(text, (truth.errors.get(text) ?? 0) + 1);
        world.note(
          () => `${name} onerror: ${error.message} ${String((error.cause as Error | undefined)?.message ?? '')}`
        );
      }
    });
  }

  /** Whether what other pods send it has always arrived, and its answers have always been in time. */
  get hasAlwaysHeard(): boolean {
    return !this.process.dead && !this.wasPaused && !this.draining && !this.links.failed.has('bus');
  }

  kill(): void {
    this.process.kill();
    this.links.cut();
    this.inService = false;
    this.onkilled();
  }

  pause(): void {
    this.wasPaused = true;
    this.process.pause();
  }

  /** As on SIGTERM: the balancer learns of it, and the pod finishes what it has. */
  drain(): void {
    this.inService = false;
    this.draining = true;
    this.process.enter(() => void this.handler.close({ drainMs: 10_000 }).then(() => this.kill()));
  }

  async #server({ jsonSchemaValidator, sessionId: recovering }: ServerContext): Promise<Server> {
    const server = new Server(
      { name: 'simulated', version: '1' },
      { capabilities: { tools: {}, logging: {}, resources: { subscribe: true } }, jsonSchemaValidator }
    );
    if (recovering !== undefined) {
      this.#recovered.delete(recovering);
      const isHere = [...this.#servers].some(([known, id]) => (id ?? known.transport?.sessionId) === recovering);
      if (isHere) {
        this.#violation('oneServer', `${this.name} recovers a session that it has`);
      }
    }
    this.#servers.set(server, recovering);
    const knowledge = { initialized: 0, level: undefined as string | undefined, uris: new Set<string>() };
    server.onclose = () => void this.#servers.delete(server);
    server.oninitialized = () => void knowledge.initialized++;
    this.#setUp(server, knowledge, recovering);
    // As applications do that read something first.
    if (this.#fleet.settingMs > 0) await new Promise(resolve => setTimeout(resolve, this.#fleet.settingMs / 3));
    return server;
  }

  #setUp(
    server: Server,
    knowledge: { initialized: number; level: string | undefined; uris: Set<string> },
    recovering: string | undefined
  ): void {
    const set = async (change: () => void): Promise<object> => {
      if (this.#fleet.settingMs > 0) await new Promise(resolve => setTimeout(resolve, this.#fleet.settingMs));
      change();
      return {};
    };
    server.setRequestHandler(SetLevelRequestSchema, ({ params }) => set(() => (knowledge.level = params.level)));
    server.setRequestHandler(SubscribeRequestSchema, ({ params }) => set(() => knowledge.uris.add(params.uri)));
    server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => set(() => knowledge.uris.delete(params.uri)));
    const checkRecovered = (what: string): void => {
      if (recovering === undefined || this.#recovered.has(recovering)) return;
      this.#violation('recovered', `${this.name}: a server got ${what} before its recovery was complete`);
    };
    server.setNotificationHandler(RootsListChangedNotificationSchema, () => checkRecovered('a notification'));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      checkRecovered('a call');
      const { token, ms, count } = params.arguments as { token: string; ms: number; count: number };
      const sessionId = extra.sessionId ?? '';
      this.#truth.begun.set(token, [...(this.#truth.begun.get(token) ?? []), this]);
      this.#world.note(() => `${this.name} runs ${params.name} ${token}`);
      const known: Knowledge = {
        client: server.getClientVersion()?.name,
        elicits: server.getClientCapabilities()?.elicitation !== undefined,
        initialized: knowledge.initialized,
        level: knowledge.level,
        uris: [...knowledge.uris].sort()
      };
      const answer = (text: string) => {
        this.#truth.finished.set(token, this.#world.now);
        return { content: [{ type: 'text' as const, text }], _meta: { token, sessionId, known } };
      };
      const told = async (name: string, send: (message: ServerNotification) => Promise<void>): Promise<void> => {
        const isSafe = this.links.healthy;
        const sentAt = this.#world.now;
        await send(logged(name, sessionId));
        if (isSafe && this.links.healthy) this.#truth.told.set(name, sentAt);
      };
      switch (params.name) {
        case 'slow':
          await new Promise(resolve => setTimeout(resolve, ms));
          return answer(token);
        case 'progress':
          for (let i = 0; i < count; i++) {
            await told(`${token}.${i}`, message => extra.sendNotification(message));
            await new Promise(resolve => setTimeout(resolve, ms / count));
          }
          return answer(token);
        case 'ask':
        case 'askAlone': {
          const ask = { method: 'elicitation/create', params: elicitation(token, sessionId) } as const;
          const options = {
            timeout: ASK_TIMEOUT_MS,
            onprogress: () => void this.#truth.progressed.add(token)
          };
          const reply =
            params.name === 'ask'
              ? await extra.sendRequest(ask, ElicitResultSchema, options)
              : await server.request(ask, ElicitResultSchema, options);
          return answer(String(reply.content?.token));
        }
        case 'tell':
          for (let i = 0; i < count; i++) await told(`${token}.${i}`, message => server.notification(message));
          return answer(token);
        default:
          return answer(token);
      }
    });
  }
}

/** How long a server waits for its client's answer. */
export const ASK_TIMEOUT_MS = 20_000;

function logged(token: string, sessionId: string): ServerNotification {
  return { method: 'notifications/message', params: { level: 'emergency', data: { token, sessionId } } };
}

function elicitation(token: string, sessionId: string) {
  const requestedSchema = { type: 'object' as const, properties: { token: { type: 'string' as const } } };
  return { message: token, requestedSchema, _meta: { token, sessionId } };
}
