import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import {
  createMcpHandler,
  McpServer,
  RedisSessionStore,
  RedisTaskMessageQueue,
  RedisTaskStore
} from 'mcp-sdk-anypod/server';
import type { CreateTaskRequestHandlerExtra } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import { z } from 'zod';
import { runPod } from '../support/pods/runPod.js';
import { PostgresStores } from '../support/servers/postgresStores.js';

/**
 * A pod whose tools are tasks. With `--forget-after <ms>` it forgets sessions that are idle for so long. `/journal` tells
 * what the tasks saw and what went wrong, a POST to `/go` lets all tasks that wait for it go on.
 */
const { values: flags } = parseArgs({
  options: {
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    /** In place of `redis`. */
    postgres: { type: 'string' },
    'forget-after': { type: 'string' }
  }
});

const journal: string[] = [];
let goOn: () => void = () => {};
const mayGoOn = new Promise<void>(resolve => void (goOn = resolve));
const postgres = flags.postgres === undefined ? undefined : await PostgresStores.connect(flags.postgres);
const redis = new Redis(flags.redis, { lazyConnect: true });
const taskStore = postgres?.tasks() ?? new RedisTaskStore({ redis });
const taskMessageQueue = postgres?.taskMessages() ?? new RedisTaskMessageQueue({ redis });
const handler = createMcpHandler(makeServer, {
  sessionStore: postgres ? await postgres.sessions() : new RedisSessionStore({ redis }),
  idleTimeoutMs: flags['forget-after'] === undefined ? undefined : Number(flags['forget-after']),
  onerror: error => journal.push(`onerror: ${error.message}`)
});
await runPod(
  (req, res) => {
    if (req.url === '/go') res.end(goOn());
    else void handler.node(req, res);
  },
  { journal: () => ({ journal, liveSessions: handler.liveSessions }), leave }
);

type Work = (taskId: string, text: string, extra: CreateTaskRequestHandlerExtra) => Promise<string>;

function makeServer(): McpServer {
  const server = new McpServer(
    { name: 'tasks', version: '1' },
    {
      capabilities: { logging: {}, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
      taskStore,
      taskMessageQueue
    }
  );
  const tools: Record<string, Work> = {
    /** Takes until the pod is told that it may end. */
    work: async () => {
      await mayGoOn;
      return 'worked';
    },
    /** Asks the client, and answers what it said. */
    ask: async (taskId, message, extra) => {
      await extra.taskStore.updateTaskStatus(taskId, 'input_required');
      const { action, content } = await server.server.elicitInput(
        { message, requestedSchema: { type: 'object', properties: {} } },
        {
          relatedTask: { taskId },
          timeout: 20_000,
          onprogress: ({ progress }) => journal.push(`${message}: progress ${progress}`)
        }
      );
      return `${action} ${JSON.stringify(content)}`;
    },
    /** Asks when the pod is told that it may go on. */
    workThenAsk: async (taskId, message, extra) => {
      await mayGoOn;
      return tools.ask!(taskId, message, extra);
    },
    /** Queues three messages for the client. */
    tell: async taskId => {
      for (const data of [1, 2, 3]) {
        const notification = { method: 'notifications/message' as const, params: { level: 'info' as const, data } };
        await server.server.notification(notification, { relatedTask: { taskId } });
      }
      return 'told';
    }
  };
  for (const [name, work] of Object.entries(tools)) {
    server.experimental.tasks.registerToolTask(
      name,
      { inputSchema: { text: z.string().default('') } },
      {
        async createTask({ text }, extra) {
          const task = await extra.taskStore.createTask({ ttl: extra.taskRequestedTtl, pollInterval: 50 });
          void perform(task.taskId, () => work(task.taskId, text, extra), extra);
          return { task };
        },
        getTask: (_args, { taskId, taskStore }) => taskStore.getTask(taskId),
        getTaskResult: async (_args, { taskId, taskStore }) => ({
          content: [],
          ...(await taskStore.getTaskResult(taskId))
        })
      }
    );
  }
  return server;
}

async function perform(
  taskId: string,
  work: () => Promise<string>,
  { taskStore }: CreateTaskRequestHandlerExtra
): Promise<void> {
  try {
    const text = await work();
    const result = { content: [{ type: 'text', text: `${text} on ${process.pid}` }] };
    await taskStore.storeTaskResult(taskId, 'completed', result);
  } catch (error) {
    journal.push(`task failed: ${(error as Error).message}`);
    await taskStore.updateTaskStatus(taskId, 'failed', (error as Error).message).catch(() => {});
  }
}

async function leave(): Promise<void> {
  await handler.close({ drainMs: 30_000 });
  redis.disconnect();
  await postgres?.close();
}
