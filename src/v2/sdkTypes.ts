/*
 * The types of version 2 of the SDK: what the build of `mcp-server-anypod` puts in the place of src/sdkTypes.ts. Each
 * name there is here as well.
 */

export type {
  AuthInfo,
  EventId,
  EventStore,
  HandleRequestOptions,
  InitializeRequest,
  JSONRPCErrorResponse,
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  JsonSchemaType,
  JsonSchemaValidator,
  jsonSchemaValidator,
  LoggingLevel,
  MessageExtraInfo,
  RequestId,
  ServerNotification,
  StreamId,
  Transport,
  TransportSendOptions,
  WebStandardStreamableHTTPServerTransportOptions
} from '@modelcontextprotocol/server';

/** An HTTP request, as the application sees it. */
export type RequestInfo = Request;
