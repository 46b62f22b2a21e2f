import { NodeStreamableHTTPServerTransport as StockNodeTransport } from '@modelcontextprotocol/node';
import {
  SUPPORTED_PROTOCOL_VERSIONS,
  WebStandardStreamableHTTPServerTransport as StockWebTransport
} from '@modelcontextprotocol/server';
import { NodeStreamableHTTPServerTransport, WebStandardStreamableHTTPServerTransport } from '../../src/v2/index.js';
import { external, type PlayedTransport, type Subject } from './subjects.js';

type Options = Parameters<Subject['create']>[0];
type Create = (options: Options) => object;

function subject(adapter: Subject['adapter'], mode: Subject['mode'], create: Create): Subject {
  return {
    name: `${adapter}, ${mode}, version 2 of the SDK`,
    adapter,
    mode,
    sdk: 2,
    create: (options, store) => {
      const given = mode === 'external' ? external(options, store) : options;
      const transport = create(given) as PlayedTransport & { setSupportedProtocolVersions(versions: string[]): void };
      // As a server does when it connects.
      transport.setSupportedProtocolVersions(SUPPORTED_PROTOCOL_VERSIONS);
      return transport;
    }
  };
}

const newNodeTransport: Create = options => new NodeStreamableHTTPServerTransport(options);
const newWebTransport: Create = options => new WebStandardStreamableHTTPServerTransport(options);

/** The transports of version 2 of the SDK. */
export const oraclesV2 = {
  node: subject('node', 'stock', options => new StockNodeTransport(options)),
  web: subject('web', 'stock', options => new StockWebTransport(options))
};

export const subjectsV2: Subject[] = [
  subject('node', 'memory', newNodeTransport),
  subject('node', 'external', newNodeTransport),
  subject('web', 'memory', newWebTransport),
  subject('web', 'external', newWebTransport)
];
