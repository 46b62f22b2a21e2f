import { type Application, install } from './application.js';
import { type Registry, startRegistry } from './registry.js';

interface Comparison {
  readonly modules: number;
  readonly missing: string[];
  readonly lacking: string[];
  readonly replaced: Record<string, string[]>;
  readonly added: Record<string, string[]>;
}

const both = (path: string): string[] =>
  ['import', 'require'].flatMap(each => [`${each} ${path}.js`, `${each} ${path}`]);

describe('under the name of the SDK', () => {
  let registry: Registry;
  let app: Application;
  let found: Comparison;

  beforeAll(async () => {
    registry = await startRegistry();
    app = await install('npm', registry.url, {
      dependencies: {
        '@modelcontextprotocol/sdk': `file:${registry.tarball}`,
        '@cfworker/json-schema': '^4.1.1'
      }
    });
    const { stdout } = await app.run('mirror.mjs', '@modelcontextprotocol/sdk', 'mcp-sdk-upstream');
    found = JSON.parse(stdout) as Comparison;
  });

  afterAll(async () => {
    await app?.remove();
    await registry?.stop();
  });

  test('each module of the SDK can be imported, with and without extension, as ESM and as CommonJS', () => {
    expect(found.modules).toBeGreaterThan(60);
    expect(found.missing).toEqual([]);
  });

  test('each module has every export of the SDK', () => {
    expect(found.lacking).toEqual([]);
  });

  test('all exports but the two transports are the objects of the SDK', () => {
    const sorted = Object.entries(found.replaced).map(([name, paths]) => [name, paths.sort()]);
    expect(Object.fromEntries(sorted)).toEqual({
      StreamableHTTPServerTransport: both('server/streamableHttp').sort(),
      WebStandardStreamableHTTPServerTransport: both('server/webStandardStreamableHttp').sort()
    });
  });

  test('server is the only module with more exports', () => {
    expect(found.added).toEqual({
      server: ['import', 'require'],
      'server/index.js': ['import', 'require'],
      'server/index': ['import', 'require']
    });
  });
});
