/**
 * A web application of two pods that uses version 2 of the SDK's client: one pod has the ESM build, the other one the
 * CommonJS build. Prints what happened as JSON. Usage: node serverClientSessions.mjs <Redis> <origin of oauthServer.ts>
 */
import { createRequire } from 'node:module';
import { Redis } from 'ioredis';
import * as client from '@modelcontextprotocol/client';
import * as anypod from 'mcp-server-anypod';
import * as clientSessions from 'mcp-server-anypod/client-sessions';

const require = createRequire(import.meta.url);
const [redisUrl, server] = process.argv.slice(2);
const callbackUrl = 'http://127.0.0.1/callback';
const pods = [
  pod({ ...anypod, ...clientSessions, ...client }),
  pod({
    ...require('mcp-server-anypod'),
    ...require('mcp-server-anypod/client-sessions'),
    ...require('@modelcontextprotocol/client')
  })
];
const [first, second] = pods;

const { sessionId } = await first.sessions.createSession({
  identity: 'alice',
  serverUrl: `${server}/mcp`,
  callbackUrl
});
const callback = await consent(await first.call(sessionId));
const stranger = await second.sessions.getSessionByState('mallory', callback.get('state'));
const finished = (await second.finish(callback)) === sessionId;
const again = await first.sessions.getSessionByState('alice', callback.get('state'));
const afterCallback = await Promise.all(pods.map(each => each.call(sessionId)));

// As a session that version 1 of the SDK has authorized: without the issuer. Both pods write it and refresh.
await second.sessions.updateSession('alice', sessionId, ({ tokens }) => ({ tokens: { ...tokens, issuer: undefined } }));
await post('/expire');
const refreshed = await Promise.all([...pods, ...pods].map(each => each.call(sessionId)));
const { tokens, clientInformation } = await first.sessions.getSession('alice', sessionId);
const afterRefresh = await Promise.all(pods.map(each => each.call(sessionId)));

await post('/forget-clients');
const forgotten = await second.call(sessionId);
await first.finish(await consent(forgotten));
const afterwards = await Promise.all(pods.map(each => each.call(sessionId)));

const { reuses, codes } = await (await fetch(`${server}/tally`)).json();
console.log(
  JSON.stringify({
    stranger,
    finished,
    again,
    sameToken: [afterCallback, afterRefresh, afterwards].map(([a, b]) => a.token !== undefined && a.token === b.token),
    refreshed: refreshed.map(({ token }) => token?.startsWith('access-')),
    stored: tokens.access_token === afterRefresh[0].token,
    issuers: [tokens.issuer, clientInformation.issuer].map(issuer => new URL(issuer).origin === server),
    reuses,
    codes
  })
);
for (const each of pods) each.close();

function pod({ Client, createClientSessions, RedisSessionStore, StreamableHTTPClientTransport, UnauthorizedError }) {
  const redis = new Redis(redisUrl);
  const sessions = createClientSessions({ store: new RedisSessionStore({ redis, keyPrefix: 'mcp:client:' }) });
  const connect = async ({ identity, sessionId, serverUrl }, options) => {
    const authProvider = await sessions.oauthProvider(identity, sessionId, options);
    return new StreamableHTTPClientTransport(new URL(serverUrl), { authProvider });
  };
  return {
    sessions,
    close: () => redis.disconnect(),
    /** Calls the tool that tells the access token; or says where the user must go first. */
    async call(sessionId) {
      let location;
      const session = await sessions.getSession('alice', sessionId);
      const transport = await connect(session, { redirectToAuthorization: url => void (location = url.href) });
      const client = new Client({ name: 'web app', version: '1' });
      try {
        await client.connect(transport);
        return { token: (await client.callTool({ name: 'whoami' })).content[0].text };
      } catch (error) {
        if (error instanceof UnauthorizedError) return { location };
        throw error;
      } finally {
        await client.close();
      }
    },
    async finish(callback) {
      const callbackState = callback.get('state');
      const session = await sessions.getSessionByState('alice', callbackState);
      const transport = await connect(session, { callbackState, redirectToAuthorization: () => {} });
      await transport.finishAuth(callback);
      return session.sessionId;
    }
  };
}

/** What the user's browser does at the authorization server: the query that it is sent back with. */
async function consent({ location }) {
  const answer = await fetch(location, { redirect: 'manual' });
  return new URL(answer.headers.get('location')).searchParams;
}

async function post(path) {
  await fetch(server + path, { method: 'POST' });
}
