import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express, { type Response } from 'express';
import { createMcpHandler, McpServer } from 'mcp-sdk-anypod/server';
import { InvalidGrantError, InvalidTokenError } from 'mcp-sdk-upstream/server/auth/errors.js';
import { requireBearerAuth } from 'mcp-sdk-upstream/server/auth/middleware/bearerAuth.js';
import type { AuthorizationParams, OAuthServerProvider } from 'mcp-sdk-upstream/server/auth/provider.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthRouter } from 'mcp-sdk-upstream/server/auth/router.js';
import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { OAuthClientInformationFull, OAuthTokens } from 'mcp-sdk-upstream/shared/auth.js';

/**
 * An MCP server behind an authorization server, in one process. Everybody who comes to `/authorize` consents. A refresh
 * token works once; using it again ends the grant, as RFC 9700 section 4.14.2 has it. `POST /expire` makes every access
 * token invalid, `POST /forget-clients` every registration. `GET /tally` tells how often what was asked of it.
 */
const tally = { registrations: 0, codes: 0, refreshes: 0, reuses: 0, discoveries: 0 };
const clients = new Map<string, OAuthClientInformationFull>();
const codes = new Map<string, { clientId: string; params: AuthorizationParams }>();
const accessTokens = new Map<string, AuthInfo>();
/** Refresh tokens, used or not, by their grant; the grant is gone when it was ended. */
const refreshTokens = new Map<string, { grant: string; isUsed: boolean }>();
const grants = new Set<string>();

const provider: OAuthServerProvider = {
  clientsStore: {
    getClient: clientId => clients.get(clientId),
    async registerClient(client) {
      tally.registrations++;
      // As far away as they are: pods that begin at the same time register at the same time.
      await delay(100);
      const registered = client as OAuthClientInformationFull;
      clients.set(registered.client_id, registered);
      return registered;
    }
  },
  async authorize({ client_id: clientId }: OAuthClientInformationFull, params: AuthorizationParams, res: Response) {
    const code = randomUUID();
    codes.set(code, { clientId, params });
    const url = new URL(params.redirectUri);
    url.search = String(new URLSearchParams({ code, state: params.state ?? '' }));
    res.redirect(url.href);
  },
  async challengeForAuthorizationCode({ client_id: clientId }, code) {
    const known = codes.get(code);
    if (known?.clientId !== clientId) throw new InvalidGrantError('No such code');
    return known.params.codeChallenge;
  },
  async exchangeAuthorizationCode({ client_id: clientId }, code) {
    if (!codes.delete(code)) throw new InvalidGrantError('No such code');
    tally.codes++;
    const grant = randomUUID();
    grants.add(grant);
    return issue(clientId, grant);
  },
  async exchangeRefreshToken({ client_id: clientId }, text) {
    const token = refreshTokens.get(text);
    if (token?.isUsed) {
      tally.reuses++;
      grants.delete(token.grant);
    }
    if (!token || !grants.has(token.grant)) throw new InvalidGrantError('The grant has ended');
    tally.refreshes++;
    token.isUsed = true;
    return issue(clientId, token.grant);
  },
  async verifyAccessToken(token) {
    const info = accessTokens.get(token);
    if (!info || !grants.has(String(info.extra?.grant))) throw new InvalidTokenError('No such token');
    return info;
  }
};

function issue(clientId: string, grant: string): OAuthTokens {
  const [token, refreshToken] = [`access-${randomUUID()}`, `refresh-${randomUUID()}`];
  const expiresAt = Math.floor(Date.now() / 1000) + 3600;
  accessTokens.set(token, { token, clientId, scopes: [], expiresAt, extra: { grant, sub: 'owner' } });
  refreshTokens.set(refreshToken, { grant, isUsed: false });
  return { access_token: token, token_type: 'bearer', expires_in: 3600, refresh_token: refreshToken };
}

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'protected', version: '1' });
  server.registerTool('whoami', {}, ({ authInfo }) => ({
    content: [{ type: 'text', text: String(authInfo?.token) }]
  }));
  return server;
}, {});

const app = express();
const listener = createServer(app).listen(0, '127.0.0.1');
await once(listener, 'listening');
const { port } = listener.address() as AddressInfo;
const origin = new URL(`http://127.0.0.1:${port}`);
const resource = new URL('/mcp', origin);
const unlimited = { rateLimit: false } as const;
app.use((req, _res, next) => {
  if (req.path.startsWith('/.well-known/')) tally.discoveries++;
  next();
});
app.use(
  mcpAuthRouter({
    provider,
    issuerUrl: origin,
    resourceServerUrl: resource,
    authorizationOptions: unlimited,
    tokenOptions: unlimited,
    clientRegistrationOptions: unlimited
  })
);
const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(resource);
app.all('/mcp', requireBearerAuth({ verifier: provider, resourceMetadataUrl }), (req, res, next) => {
  handler.node(req, res).catch(next);
});
app.post('/expire', (_req, res) => {
  accessTokens.clear();
  res.end();
});
app.post('/forget-clients', (_req, res) => {
  clients.clear();
  accessTokens.clear();
  res.end();
});
app.get('/tally', (_req, res) => void res.json(tally));
console.log(`listening ${port}`);
