/*
 * The types of the MCP SDK, for everything that both packages share. The build of the second package,
 * `mcp-server-anypod`, replaces this module by one with the same types of version 2 of the SDK. So shared code imports
 * no type from the SDK itself, and no value at all.
 */

export type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
export type {
  EventId,
  EventStore,
  HandleRequestOptions,
  StreamId,
  WebStandardStreamableHTTPServerTransportOptions
} from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
export type { Transport, TransportSendOptions } from 'mcp-sdk-upstream/shared/transport.js';
export type {
  InitializeRequest,
  JSONRPCErrorResponse,
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  LoggingLevel,
  MessageExtraInfo,
  RequestId,
  RequestInfo,
  ServerNotification
} from 'mcp-sdk-upstream/types.js';
export type { JsonSchemaType, JsonSchemaValidator, jsonSchemaValidator } from 'mcp-sdk-upstream/validation/types.js';
