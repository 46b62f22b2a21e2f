import { build, type Platform } from 'esbuild';
import { execFile } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { type Application, install } from './application.js';
import { commonJsConsumer, consumer } from './consumer.js';
import { shippedDocuments } from '../support/readme.js';
import { type Registry, startRegistry } from './registry.js';

const run = promisify(execFile);
const INDEXED = { noUncheckedIndexedAccess: true, noPropertyAccessFromIndexSignature: true };
const SDK = '@modelcontextprotocol/sdk';
/** Next's edge runtime has the functions of Node's process, which throw, and lacks some globals. */
const THROWING = `delete globalThis.ByteLengthQueuingStrategy; for (const name of ['getBuiltinModule', 'emitWarning', 'memoryUsage'])
  process[name] = () => { throw new Error('A Node.js API is used (process.' + name + ')'); };`;
let registry: Registry;
let app: Application;

beforeAll(async () => {
  registry = await startRegistry();
  const fork = `file:${registry.tarball}`;
  app = await install('npm', registry.url, {
    type: 'module',
    dependencies: {
      'mcp-sdk-anypod': fork,
      [SDK]: fork,
      '@cfworker/json-schema': '^4.1.1',
      ioredis: '^6.0.0',
      pg: '^8.0.0'
    }
  });
}, 240_000);

afterAll(async () => {
  await app?.remove();
  await registry?.stop();
});

describe('the package', () => {
  test('passes publint, and has correct types for each module in each resolution', async () => {
    const modules = (await mirrored()).map(path => `./${path}`);
    const { stdout } = await run(process.execPath, ['test/swap/packageProblems.mjs', registry.tarball, ...modules]);
    const { entrypoints, publint, ...found } = JSON.parse(stdout) as {
      entrypoints: number;
      publint: { code: string }[];
    };
    expect(found).toEqual({ types: { kind: 'included' }, problems: [] });
    expect(publint).toEqual([]);
    expect(modules.length).toBeGreaterThan(60);
    expect(entrypoints).toBeGreaterThan(modules.length);
  });

  test('holds the build, its documents and the examples, and nothing else', async () => {
    const files = await tarballFiles();
    const known =
      /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|PATCHES\.md|(src\/([\w/]+\/)?|examples\/([\w-]+\/)?|test\/(bench\/)?)README\.md|examples\/([\w-]+\/)?[\w-]+\.(m?[jt]s|ya?ml|cfg|conf|json)|dist\/cjs\/package\.json|dist\/esm\/cli\/demo\/page\.html|dist\/(esm|cjs)\/[\w./-]+\.(js|d\.ts))$/;
    expect(files.filter(path => !known.test(path))).toEqual([]);
    const built = files.filter(path => !/^examples\/|^test\/.*\.md$/.test(path));
    expect(built.filter(path => /test|example|generate/i.test(path) && !/(\/|^src\/)testing\//.test(path))).toEqual([]);
    expect(files).toContain('examples/migrate/hand-wired.ts');
    for (const path of ['package.json', 'LICENSE', ...shippedDocuments]) expect(files).toContain(path);
  });

  test('is as large as the README says', async () => {
    const readme = await readFile('README.md', 'utf8');
    const [, packedKb, unpackedMb] = /([\d.]+) kB packed .*?, ([\d.]+) MB unpacked/.exec(readme)!;
    const { size } = await stat(registry.tarball);
    const { stdout } = await run('tar', ['-xzOf', registry.tarball], {
      encoding: 'buffer',
      maxBuffer: 64 * 1024 * 1024
    });
    expect(Math.abs(size / 1000 / Number(packedKb) - 1)).toBeLessThan(0.03);
    expect(Math.abs(stdout.length / 1_000_000 / Number(unpackedMb) - 1)).toBeLessThan(0.04);
  });

  test('says in each mirrored module where it is from', async () => {
    const files = (await tarballFiles()).filter(path => /^dist\/\w+\/sdk\//.test(path));
    expect(files.length).toBeGreaterThan(240);
    for (const path of files) {
      const [header] = (await readFile(join(app.folder, 'node_modules/mcp-sdk-anypod', path), 'utf8')).split('\n');
      expect(header).toMatch(/^\/\/ Generated\. .*@modelcontextprotocol\/sdk \d+\.\d+\.\d+/);
    }
  });
});

describe('a strict consumer compiles', () => {
  const { ModuleKind: M, ModuleResolutionKind: R } = ts;
  test.each([
    ['node16', M.Node16, R.Node16],
    ['nodenext', M.NodeNext, R.NodeNext],
    ['bundler', M.ESNext, R.Bundler]
  ])('with moduleResolution %s, by either name', async (resolution, module, moduleResolution) => {
    const sources = [SDK, 'mcp-sdk-anypod'].flatMap((name, index) => [
      [`consumer${index}.ts`, consumer(name)] as const,
      ...(resolution === 'bundler' ? [] : [[`consumer${index}.cts`, commonJsConsumer(name)] as const])
    ]);
    for (const [file, source] of sources) await writeFile(join(app.folder, file), source);
    const files = sources.map(([file]) => join(app.folder, file));
    expect(problems(files, { module, moduleResolution })).toEqual([]);
  });

  test.each<[string, ts.CompilerOptions]>([
    ['exactOptionalPropertyTypes', { exactOptionalPropertyTypes: true }],
    ['the library of ES2021, which has no ErrorOptions', { lib: ['lib.es2021.d.ts', 'lib.dom.d.ts'] }],
    ['noUncheckedIndexedAccess and noPropertyAccessFromIndexSignature', INDEXED]
  ])('with %s', async (_what, options) => {
    const file = join(app.folder, 'consumer.ts');
    await writeFile(file, consumer(SDK));
    expect(problems([file], { module: M.NodeNext, moduleResolution: R.NodeNext, ...options })).toEqual([]);
  });

  /** What the compiler says of the consumer, and of the declarations of this package. */
  function problems(files: string[], options: ts.CompilerOptions): string[] {
    const program = ts.createProgram(files, {
      target: ts.ScriptTarget.ES2022,
      strict: true,
      noEmit: true,
      types: ['node'],
      typeRoots: [resolve('node_modules/@types')],
      ...options
    });
    // The declarations of the SDK itself are not all right for a compiler that checks libraries; ours are.
    const own = program
      .getSourceFiles()
      .filter(({ fileName }) => /consumer\d?\.|(mcp-sdk-anypod|@modelcontextprotocol\/sdk)\/dist/.test(fileName));
    expect(own.length).toBeGreaterThan(40);
    return [...own.flatMap(file => program.getSemanticDiagnostics(file)), ...program.getOptionsDiagnostics()].map(
      plain
    );
  }
});

describe('a bundle', () => {
  // The engine registers each session's server in tasks/liveServers, so transports need that one module of tasks/.
  test.each([
    [
      'StreamableHTTPServerTransport',
      'mcp-sdk-anypod/server/streamableHttp.js',
      /\/(redis|handler)\/|task(?!s\/liveServers\.js$)/i
    ],
    [
      'WebStandardStreamableHTTPServerTransport',
      'mcp-sdk-anypod',
      /\/(redis|handler)\/|server\/node|task(?!s\/liveServers\.js$)/i
    ],
    ['InMemorySessionStore', 'mcp-sdk-anypod', /\/(redis|handler|engine|server)\/|task/i],
    ['createMcpHandler', 'mcp-sdk-anypod/server', /\/redis\//]
  ])('of %s from %s contains only what it needs', async (name, from, needless) => {
    const inputs = await bundled(`import { ${name} } from '${from}'; console.log(${name});`);
    expect(inputs.length).toBeGreaterThan(0);
    expect(inputs.filter(path => needless.test(path))).toEqual([]);
  });
});

describe('a bundle', () => {
  test.each<[string, Platform, string[]]>([
    ['browsers', 'browser', []],
    ['Workers, as wrangler builds it', 'browser', ['workerd', 'worker', 'browser']],
    ["Next's edge runtime", 'neutral', ['edge-light', 'worker', 'browser']],
    ['no named runtime', 'neutral', []]
  ])('for %s is built although database clients are installed, and serves sessions', async (...bundle) => {
    const [, platform, conditions] = bundle;
    const outfile = join(app.folder, 'bundle.mjs');
    const entry = join(app.folder, 'browserBundle.mjs');
    await build({
      entryPoints: [entry],
      outfile,
      bundle: true,
      platform,
      conditions,
      // With them alone, esbuild does not read the field `browser`, as some bundlers do not.
      mainFields: ['module', 'main'],
      // The SDK's client, which this application uses too, names no other module than those for Node and browsers.
      alias: { 'pkce-challenge': join(app.folder, 'node_modules/pkce-challenge/dist/index.browser.js') },
      format: 'esm',
      // Node runs the bundle here. Those runtimes do not have this, or it throws.
      banner: { js: conditions.includes('edge-light') ? THROWING : 'process.getBuiltinModule = undefined;' },
      logLevel: 'silent'
    });
    expect(await readFile(outfile, 'utf8')).not.toMatch(/from ["'](node:|events|net)/);
    const { stdout } = await app.run('bundle.mjs');
    expect(JSON.parse(stdout)).toEqual({
      answers: ['pod 0', 'pod 1'],
      redis: expect.stringContaining('This bundle has no ioredis: build it with the condition "node"') as string,
      file: expect.stringContaining('This runtime has no file system') as string,
      memory: ['sessionStore', 'sessionBus', 'eventStore']
    });
  });
});

test('the whole package is bundled for a runtime without any condition', async () => {
  const { errors } = await build({
    stdin: { contents: `export * from 'mcp-sdk-anypod/server';`, resolveDir: app.folder },
    bundle: true,
    platform: 'neutral',
    mainFields: ['module', 'main'],
    format: 'esm',
    write: false,
    logLevel: 'silent'
  });
  expect(errors).toEqual([]);
});

/** The files of this package that put something into the bundle. */
async function bundled(contents: string): Promise<string[]> {
  const { metafile } = await build({
    stdin: { contents, resolveDir: app.folder },
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
    metafile: true,
    absWorkingDir: app.folder
  });
  const [output] = Object.values(metafile.outputs);
  return Object.entries(output!.inputs)
    .filter(([path, { bytesInOutput }]) => path.includes('node_modules/mcp-sdk-anypod/') && bytesInOutput > 0)
    .map(([path]) => path.replace(/^.*node_modules\/mcp-sdk-anypod\/dist\/esm/, ''));
}

/** The paths of the mirrored modules. */
async function mirrored(): Promise<string[]> {
  const paths = (await tarballFiles()).filter(path => /^dist\/esm\/sdk\/.*\.js$/.test(path));
  return paths.map(path => path.slice('dist/esm/sdk/'.length));
}

async function tarballFiles(): Promise<string[]> {
  const { stdout } = await run('tar', ['-tzf', registry.tarball]);
  return stdout
    .trim()
    .split('\n')
    .map(path => path.replace(/^package\//, ''));
}

function plain({ file, messageText }: ts.Diagnostic): string {
  return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
}
