/* The entry `mcp-server-anypod/client-sessions`, for applications that use @modelcontextprotocol/client. */
export { CLIENT_SESSION_TTL_SECONDS, createClientSessions } from '../clientSessions/clientSessions.js';
export type { ClientSessions, ClientSessionsOptions } from '../clientSessions/clientSessions.js';
export type { ClientSessionOAuthOptions } from '../clientSessions/oauthOptions.js';
export type { ClientSession, ClientSessionChanges, NewClientSession } from '../clientSessions/record.js';
