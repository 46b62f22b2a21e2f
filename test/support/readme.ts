import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const readme = readFileSync(join(process.cwd(), 'README.md'), 'utf8');

/** What blocks that continue others leave out, by the name that they use of it. */
const LEFT_OUT: Record<string, string> = {
  Pool: `import { Pool } from 'pg';`,
  Redis: `import { Redis } from 'ioredis';`,
  randomUUID: `import { randomUUID } from 'node:crypto';`,
  redis: `import { Redis } from 'ioredis';\nconst redis = new Redis('redis://localhost:6379');`,
  makeServer: `import { McpServer } from 'mcp-sdk-anypod/server';
    const makeServer = () => new McpServer({ name: 'shop', version: '1.0.0' });`,
  clientSessions: `import { createClientSessions, InMemorySessionStore } from 'mcp-sdk-anypod/server';
    const clientSessions = createClientSessions({ store: new InMemorySessionStore() });`,
  MySessionStore: `import { InMemorySessionStore as MySessionStore } from 'mcp-sdk-anypod/server';`,
  ...Object.fromEntries(
    [
      'createMcpHandler',
      'migrate',
      'PostgresEventStore',
      'PostgresSessionStore',
      'RedisEventStore',
      'RedisSessionStore'
    ].map(name => [name, `import { ${name} } from 'mcp-sdk-anypod/server';`])
  )
};

/** The README's blocks in TypeScript, each with the line that it stands under and with what it leaves out. */
export const typeScriptBlocks = blocksOf('ts');

/** What stands there before a change that the README shows, and what after it. */
export const changes = blocksOf('diff', diff => diff).map(({ code: diff }) => ({
  before: complete(diff.replace(/^\+.*\n/gm, '').replace(/^[- ]/gm, '')),
  after: complete(diff.replace(/^-.*\n/gm, '').replace(/^[+ ]/gm, ''))
}));

function blocksOf(language: string, made = complete): { under: string; code: string }[] {
  const blocks = readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'));
  return [...blocks].map(({ index, 1: code }) => {
    const [under] = readme.slice(0, index).trimEnd().split('\n').slice(-1);
    return { under: under as string, code: made(code as string) };
  });
}

function complete(code: string): string {
  const lacking = Object.keys(LEFT_OUT).filter(name => {
    const declared = new RegExp(`^(import .*|const )\\b${name}\\b`, 'm').test(code);
    // Neither a word in a string nor the name of a property or package.
    return !declared && new RegExp(`(?<!['./])\\b${name}\\b(?!['/:])`).test(code);
  });
  return `${lacking.map(name => LEFT_OUT[name]).join('\n')}\n${code}\nexport {};\n`;
}
