import type { ServerFactory } from 'mcp-sdk-anypod/server';

type Connectable = Awaited<ReturnType<ServerFactory>>;
type Transport = Parameters<Connectable['connect']>[0];

const RESULT = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'least', version: '1' } };

/** Answers a handshake and holds its transport: the least that a server can be. */
export class LeastServer implements Connectable {
  transport: Transport | undefined;

  async connect(transport: Transport): Promise<void> {
    this.transport = transport;
    transport.onmessage = answer;
    await transport.start();
  }

  async close(): Promise<void> {
    await this.transport?.close();
  }
}

function answer(this: Transport, message: object): void {
  if ('id' in message) void this.send({ jsonrpc: '2.0', id: message.id as number, result: RESULT });
}
