import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of all Markdown documents of the repository, from its root. */
export const documents: string[] = [
  ...readdirSync('.').filter(path => path.endsWith('.md')),
  ...['src', 'examples', 'test'].flatMap(folder =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(path => path.endsWith('.md'))
      .map(path => join(folder, path))
  )
].sort();

/** The documents that are in the package: those at the root, and its READMEs in `src`; of the examples, some. */
export const shippedDocuments = documents.filter(path => !/^(examples|test|src\/v2)\//.test(path));

export interface Block {
  readonly document: string;
  /** The last line of text before the block. */
  readonly under: string;
  readonly code: string;
}

/** Declarations that a block may leave out, by the name that the block uses. */
const LEFT_OUT: Record<string, string> = {
  Pool: `import { Pool } from 'pg';`,
  Redis: `import { Redis } from 'ioredis';`,
  randomUUID: `import { randomUUID } from 'node:crypto';`,
  redis: `import { Redis } from 'ioredis';\nconst redis = new Redis('redis://localhost:6379');`,
  makeServer: `import { McpServer } from 'mcp-sdk-anypod/server';
    const makeServer = () => new McpServer({ name: 'shop', version: '1.0.0' });`,
  clientSessions: `import { createClientSessions, InMemorySessionStore } from 'mcp-sdk-anypod/server';
    const clientSessions = createClientSessions({ store: new InMemorySessionStore() });`,
  app: `import express from 'express';
    const app = express();`,
  createMcpServer: `import { McpServer } from 'mcp-sdk-anypod/server';
    const createMcpServer = () => new McpServer({ name: 'shop', version: '1.0.0' });`,
  getServer: `import { McpServer } from 'mcp-sdk-anypod/server';
    const getServer = () => new McpServer({ name: 'shop', version: '1.0.0' });`,
  sessions: `const sessions = new Map<string, { transport: object; open: number; lastActive: number }>();`,
  sessionStore: `import { InMemorySessionStore } from 'mcp-sdk-anypod/server';
    const sessionStore = new InMemorySessionStore();`,
  MySessionStore: `import { InMemorySessionStore as MySessionStore } from 'mcp-sdk-anypod/server';`,
  ...Object.fromEntries(
    [
      'createMcpHandler',
      'migrate',
      'PostgresEventStore',
      'PostgresSessionStore',
      'RedisEventStore',
      'RedisSessionStore',
      'StreamableHTTPServerTransport'
    ].map(name => [name, `import { ${name} } from 'mcp-sdk-anypod/server';`])
  )
};

/** All TypeScript blocks of all documents, completed with the declarations that they leave out. */
export const typeScriptBlocks: Block[] = blocksOf('ts').map(block => ({ ...block, code: complete(block.code) }));

/** The code before and after each change that a document shows as a diff. */
export const changes = blocksOf('diff').map(({ document, code: diff }) => ({
  document,
  before: complete(diff.replace(/^\+.*\n/gm, '').replace(/^[- ]/gm, '')),
  after: complete(diff.replace(/^-.*\n/gm, '').replace(/^[+ ]/gm, ''))
}));

function blocksOf(language: string): Block[] {
  return documents.flatMap(document => blocksIn(document, language));
}

/** The code blocks of a document in a language, as they are. */
export function blocksIn(document: string, language: string): Block[] {
  const text = readFileSync(document, 'utf8');
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'));
  return [...blocks].map(({ index, 1: code }) => {
    const under = text.slice(0, index).trimEnd().split('\n').at(-1);
    return { document, under: under as string, code: code as string };
  });
}

function complete(code: string): string {
  const lacking = Object.keys(LEFT_OUT).filter(name => {
    const declared = new RegExp(`^(import .*|const )\\b${name}\\b`, 'm').test(code);
    // A word in a string, a property or a package of that name does not count.
    return !declared && new RegExp(`(?<!['./])\\b${name}\\b(?!['/:])`).test(code);
  });
  return `${lacking.map(name => LEFT_OUT[name]).join('\n')}\n${code}\nexport {};\n`;
}
