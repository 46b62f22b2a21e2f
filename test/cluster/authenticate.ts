import type { RequestHandler } from 'express';
import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';

/** Stands for a token's verifier: `x-user` is the subject and `x-token` the token. Without them nobody is logged in. */
export const authenticate: RequestHandler = (req, _res, next) => {
  const user = req.get('x-user');
  if (user !== undefined) {
    const auth: AuthInfo = {
      token: req.get('x-token') ?? 'token',
      clientId: 'the one client of all users',
      scopes: [],
      extra: { iss: 'https://issuer.test', sub: user }
    };
    Object.assign(req, { auth });
  }
  next();
};
