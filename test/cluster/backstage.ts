import express, { Router } from 'express';
import type { McpHandler } from 'mcp-sdk-anypod/server';
import type { AskArguments } from '../support/pods/askingTools.js';
import { type Journal, ProbeServer } from '../support/pods/probeServer.js';

/**
 * What a pod does without being asked by a client of MCP. `/journal` tells what happened, `/forget` closes every
 * server on this pod, `/terminate` ends a session as its application may, `/revoke` all of a principal; `/say`, `/ask` and `/close-standalone` are
 * done by a session's server on this pod, outside of any exchange.
 */
export function backstage(journal: Journal, hosts: Record<string, McpHandler>): Router {
  const router = Router();
  router.use('/backstage', express.json());
  router.get('/journal', (_req, res) => void res.json(journal.entries));
  router.post('/forget', (_req, res, next) => {
    Promise.all([...ProbeServer.live].map(server => server.close())).then(() => res.sendStatus(204), next);
  });

  const handle = (action: string, act: (args: BackstageArguments) => unknown) =>
    router.post(`/backstage/${action}`, (req, res, next) => {
      Promise.resolve(act(req.body as BackstageArguments)).then(answer => void res.json(answer ?? null), next);
    });
  handle('terminate', ({ host = 'mcp', sessionId }) => hosts[host]!.terminateSession(sessionId));
  handle('revoke', ({ host = 'mcp', principal = '' }) => hosts[host]!.revokeSessions(principal));
  handle('list', async ({ host = 'mcp', principal = '' }) => {
    const sessionIds: string[] = [];
    for await (const sessionId of hosts[host]!.listSessions(principal)) sessionIds.push(sessionId);
    return sessionIds.sort();
  });
  handle('say', async ({ sessionId, what, texts = [] }) => {
    for (const text of texts) await serverOf(sessionId).say(what ?? 'info', text);
  });
  handle('ask', ({ sessionId, ...args }) => serverOf(sessionId).ask(args));
  handle('close-standalone', ({ sessionId }) => serverOf(sessionId).transport?.closeStandaloneSSEStream());
  return router;
}

export interface BackstageArguments extends AskArguments {
  /** Absent where it is not about one session. */
  sessionId: string;
  /** The host whose session it is. @default 'mcp' */
  host?: string;
  /** Whose sessions are to be listed or revoked. */
  principal?: string;
  /** A log level, 'tools', or 'resource'. @default 'info' */
  what?: string;
  texts?: string[];
}

function serverOf(sessionId: string): ProbeServer {
  const server = [...ProbeServer.live].find(({ transport }) => transport?.sessionId === sessionId);
  if (!server) throw new Error(`Session ${sessionId} is not live on this pod`);
  return server;
}
