import { parseArgs } from 'node:util';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { Redis } from 'ioredis';
import {
  CLIENT_SESSION_TTL_SECONDS,
  type ClientSession,
  type ClientSessionOAuthOptions,
  createClientSessions,
  encryptSessionStore,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import { UnauthorizedError } from 'mcp-sdk-upstream/client/auth.js';
import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import type { CallToolResult } from 'mcp-sdk-upstream/types.js';
import { runPod } from '../support/pods/runPod.js';

/**
 * A pod of a web application that connects its users to MCP servers. The user is who `x-user` names. `POST /sessions`
 * makes a session, `POST /call/<id>` calls a tool and answers its text, or `{ location }` where the user must
 * authorize first; the authorization server sends users back to `/callback`. `POST /update/<id>` changes fields.
 */
const { values: flags } = parseArgs({
  options: { redis: { type: 'string', default: 'redis://127.0.0.1:6379' }, key: { type: 'string' } }
});
const redis = new Redis(flags.redis);
const plain = new RedisSessionStore({ redis, keyPrefix: 'mcp:client:', ttlSeconds: CLIENT_SESSION_TTL_SECONDS });
const store = flags.key === undefined ? plain : encryptSessionStore(plain, { keys: [flags.key] });
const sessions = createClientSessions({ store });

const app = express().use(express.json());
app.post(
  '/sessions',
  answering(async req => sessions.createSession({ ...(req.body as { serverUrl: string }), identity: userOf(req) }))
);
app.get(
  '/sessions',
  answering(req => sessions.getIdentitySessionsData(userOf(req)))
);
app.post(
  '/update/:sessionId',
  answering(req => sessions.updateSession(userOf(req), String(req.params.sessionId), req.body as object))
);
app.post(
  '/call/:sessionId',
  answering(async req => {
    const session = await sessions.getSession(userOf(req), String(req.params.sessionId));
    return session === null ? { error: 'unknown session' } : callAtOnce(session, Number(req.query.times ?? 1));
  })
);
app.get(
  '/callback',
  answering(async req => {
    const { code, state } = req.query as Record<string, string>;
    const session = await sessions.getSessionByState(userOf(req), String(state));
    if (!session) return { error: 'unknown state' };
    const transport = await connect(session, { callbackState: state, redirectToAuthorization: () => {} });
    await transport.finishAuth(String(code));
    return { finished: session.sessionId };
  })
);

await runPod(app);

async function connect(session: ClientSession, options: ClientSessionOAuthOptions) {
  const authProvider = await sessions.oauthProvider(session.identity, session.sessionId, {
    clientMetadata: { client_name: 'web app' },
    ...options
  });
  return new StreamableHTTPClientTransport(new URL(session.serverUrl), { authProvider });
}

async function callAtOnce(session: ClientSession, times: number): Promise<unknown> {
  let location: string | undefined;
  const transport = await connect(session, { redirectToAuthorization: url => void (location = url.href) });
  const client = new Client({ name: 'web app', version: '1' });
  try {
    await client.connect(transport);
    const calls = Array.from({ length: times }, () => client.callTool({ name: 'whoami' }) as Promise<CallToolResult>);
    const results = await Promise.all(calls);
    return { texts: results.map(({ content: [first] }) => first?.type === 'text' && first.text) };
  } catch (error) {
    if (error instanceof UnauthorizedError) return { location };
    throw error;
  } finally {
    await client.close();
  }
}

function userOf(req: Request): string {
  return req.get('x-user') ?? '';
}

function answering(answer: (req: Request) => Promise<unknown>): RequestHandler {
  return (req: Request, res: Response) => {
    answer(req).then(
      result => res.json(result),
      (error: Error) => res.status(500).json({ error: `${error.name}: ${error.message}` })
    );
  };
}
