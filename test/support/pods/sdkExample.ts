import type { Plugin } from 'esbuild';
import { readFileSync } from 'node:fs';
import { blocksIn } from '../readme.js';
import { writeBundle } from './bundle.js';

const EXAMPLE = 'node_modules/mcp-sdk-upstream/dist/esm/examples/server/simpleStreamableHttp.js';
const [replacing, keeping] = blocksIn('README.md', 'diff').map(({ code }) => code) as [string, string];
const route = blocksIn('README.md', 'ts').find(({ code }) => code.includes('onsessionrecovered'))!.code;

/** How the example of the SDK is changed. */
export type Change = 'two lines only' | 'two lines and the route' | 'createMcpHandler';

/**
 * The SDK's own example server with a change of README.md, ready to run: it prints `listening <port>`, and `GET /built`
 * answers how many servers it has made.
 * @returns the path of the script
 */
export function changedExample(change: Change): Promise<string> {
  const contents = withProbe(change === 'createMcpHandler' ? withHandler(original()) : withMap(original(), change));
  const source: Plugin = {
    name: 'source',
    setup(build) {
      build.onResolve({ filter: /^sdk-example$/ }, ({ path }) => ({ path, namespace: 'source' }));
      build.onLoad({ filter: /^sdk-example$/, namespace: 'source' }, () => ({
        contents,
        loader: 'ts',
        resolveDir: process.cwd()
      }));
    }
  };
  return writeBundle('sdk-example', [source]);
}

function original(): string {
  return readFileSync(EXAMPLE, 'utf8')
    .replaceAll("'../../", "'@modelcontextprotocol/sdk/")
    .replaceAll("'../shared/", "'@modelcontextprotocol/sdk/examples/shared/")
    .replaceAll("'./demo", "'@modelcontextprotocol/sdk/examples/server/demo");
}

function withMap(example: string, change: Change): string {
  const routes = '// Set up routes with conditional auth middleware\n';
  // The event logs of the example are those of one process.
  const shared = replaced(example, 'const eventStore = new InMemoryEventStore();', '');
  const patched = patch(replaced(shared, 'eventStore, // Enable resumability', ''), keeping);
  return change === 'two lines only' ? patched : replaced(patched, routes, `${route}\n${routes}`);
}

/** The map and the three routes are left out: everything from the map to the start of the server. */
function withHandler(example: string): string {
  const map = example.indexOf('const sessions = new Map();');
  const [end] = /^app\.listen\(/m.exec(example)!;
  const start = example.slice(example.indexOf(end), example.indexOf('// Handle server shutdown'));
  return `import { createMcpHandler, RedisSessionStore } from 'mcp-sdk-anypod/server';\n${
    example.slice(0, map) + patch('const sessions = new Map();\n', replacing)
  }${start}`;
}

function withProbe(example: string): string {
  const redis = `import { Redis } from 'ioredis';\nconst redis = new Redis(process.env.REDIS_URL, { socketTimeout: 5000 });\n`;
  const counted = replaced(
    example,
    'const getServer = () => {',
    'let built = 0;\nconst getServer = () => {\n  built++;'
  );
  const served = replaced(
    counted,
    'app.listen(',
    `app.get('/built', (_req, res) => res.json(built));\nconst listener = app.listen(`
  );
  return (
    redis +
    served.replace(
      /console\.log\(`MCP Streamable HTTP Server.*/,
      "console.log('listening ' + listener.address().port);"
    )
  );
}

/** Applies a diff whose lines are indented in another way than the text. */
export function patch(text: string, diff: string): string {
  const lines = text.split('\n');
  let at = 0;
  for (const line of diff.split('\n').filter(each => each.trim() !== '')) {
    const content = line.slice(1);
    if (line.startsWith('+')) {
      lines.splice(at++, 0, content);
      continue;
    }
    // A comment of the diff is for its reader.
    const wanted = content.replace(/ \/\/ .*/, '').trim();
    const found = lines.findIndex((each, index) => index >= at && isMeant(each.trim(), wanted));
    if (found < 0) throw new Error(`The example of the SDK has no line: ${wanted}`);
    if (line.startsWith('-')) lines.splice((at = found), 1);
    else at = found + 1;
  }
  return lines.join('\n');
}

/** The example assigns its transport, and imports by its own names. */
function isMeant(line: string, wanted: string): boolean {
  return line === wanted || (line.length > 20 && wanted.endsWith(line)) || (wanted === '});' && line === '});');
}

function replaced(text: string, part: string, by: string): string {
  if (!text.includes(part)) throw new Error(`The example of the SDK has no longer: ${part}`);
  return text.replace(part, () => by);
}
