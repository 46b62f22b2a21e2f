/**
 * With the SDK's `requireBearerAuth`: `PORT=3001 npx tsx examples/frameworks/bearer-auth.ts`. A session belongs to the
 * user that opened it, on every pod. For any other user it does not exist.
 */
import type { AddressInfo } from 'node:net';
import express from 'express';
import { InvalidTokenError } from 'mcp-sdk-anypod/server/auth/errors.js';
import { requireBearerAuth } from 'mcp-sdk-anypod/server/auth/middleware/bearerAuth.js';
import { allowOrigin } from './cors.js';
import { handler, port } from './mcp.js';

/** In production, ask the authorization server or check a signature. */
const clients: Record<string, string> = { 'token-of-ada': 'ada', 'token-of-bob': 'bob' };

const authenticate = requireBearerAuth({
  verifier: {
    async verifyAccessToken(token) {
      const clientId = clients[token];
      if (clientId === undefined) throw new InvalidTokenError('Unknown token');
      return { token, clientId, scopes: ['mcp'], expiresAt: Math.floor(Date.now() / 1000) + 60 };
    }
  },
  requiredScopes: ['mcp']
});

const app = express();
app.use('/mcp', (req, res, next) => {
  if (!allowOrigin(req, res)) next();
});
app.use('/mcp', authenticate, express.json({ limit: '4mb' }));
app.all('/mcp', (req, res) => handler.node(req, res, req.body));

const server = app.listen(port, '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
