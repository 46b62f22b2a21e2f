import type { Client } from './client.js';
import type { WrongExchange } from './script.js';
import type { Exchange } from './wire.js';

/** Exchanges that servers refuse; each is read to its end. */
export async function wrongExchange(client: Client, what: WrongExchange): Promise<Exchange> {
  const exchange = await send(client, what);
  await exchange.untilEnded();
  return exchange;
}

function send(client: Client, what: WrongExchange): Promise<Exchange> {
  const ping = client.message('ping');
  switch (what) {
    case 'accept':
      return client.post(0, ping, { accept: 'application/json' });
    case 'accept of GET':
      return client.send('GET', 0, { headers: { accept: 'application/json' } });
    case 'content type':
      return client.post(0, ping, { 'content-type': 'text/plain' });
    case 'no json':
      return client.post(0, '{"jsonrpc":');
    case 'no message':
      return client.post(0, { ...ping, jsonrpc: '1.0' });
    case 'version':
      return client.post(0, ping, { 'mcp-protocol-version': '1999-01-01' });
    case 'unknown session':
      return client.post(0, ping, { 'mcp-session-id': 'unknown' });
    case 'method':
      return client.send('PUT', 0, {});
    case 'initialize again':
      return client.post(0, client.message('initialize', initializeParams));
    case 'unknown cursor':
      // Without an event store a cursor means nothing, and the GET opens a stream.
      if (!client.options.log) return client.post(0, ping);
      return client.send('GET', 0, { headers: { accept: 'text/event-stream', 'last-event-id': 'unknown' } });
  }
}

const initializeParams = {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'again', version: '1' }
};
