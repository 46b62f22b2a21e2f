import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import { defaultPrincipalOf } from '../../src/engine/session/principal.js';

const auth = (token: string, clientId: string, extra?: Record<string, unknown>): AuthInfo => ({
  token,
  clientId,
  scopes: [],
  extra
});

describe('the principal of a request', () => {
  it('is issuer and subject, whatever the token', () => {
    const one = defaultPrincipalOf(auth('t1', 'c', { iss: 'https://a', sub: 'u' }));
    expect(one).toBe(defaultPrincipalOf(auth('t2', 'other client', { iss: 'https://a', sub: 'u' })));
    expect(one).not.toContain('t1');
  });

  it('differs by issuer, by subject, and between a subject and a client of the same name', () => {
    const all = [
      auth('t', 'c', { iss: 'https://a', sub: 'u' }),
      auth('t', 'c', { iss: 'https://b', sub: 'u' }),
      auth('t', 'c', { iss: 'https://a', sub: 'v' }),
      auth('t', 'c', { sub: 'u' }),
      auth('t', 'u'),
      auth('t', 'c')
    ].map(defaultPrincipalOf);
    expect(new Set(all).size).toBe(all.length);
  });
});
