import type { JSONRPCMessage } from '../../sdkTypes.js';
import type { ReportError } from '../../report.js';
import type { Response } from '../http/jsonRpc.js';
import { INTERNAL_ERROR } from '../http/replies.js';

/** @throws TypeError if a message cannot be written as JSON (a cycle or a BigInt). It is also reported */
export function jsonOf(message: JSONRPCMessage, report: ReportError): string {
  try {
    return JSON.stringify(message);
  } catch (error) {
    report(error as Error);
    throw error;
  }
}

/** The response, or an error if the response cannot be written as JSON. That is reported. */
export function inJson(response: Response, report: ReportError): { response: Response; text: string } {
  try {
    return { response, text: jsonOf(response, report) };
  } catch {
    const error = notJson(response);
    return { response: error, text: JSON.stringify(error) };
  }
}

/** The error that replaces a result that is not JSON. Without an answer the client would wait forever. */
export function notJson({ id }: Response): Response {
  const error = { code: INTERNAL_ERROR, message: 'Internal error: the result is not JSON' };
  return { jsonrpc: '2.0', id, error };
}
