import { build, type Platform } from 'esbuild';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { type Application, install } from './application.js';
import { type Registry, startRegistry } from './registry.js';
import { startPod } from '../support/pods/process.js';
import { useRedisAndPostgres } from '../support/servers/useRedisAndPostgres.js';

const run = promisify(execFile);
const SERVER = '@modelcontextprotocol/server';
const PACKAGE = 'mcp-server-anypod';
let registry: Registry;
let packed: string;
let tarball: string;
let app: Application;
const servers = useRedisAndPostgres();

/** Needs a build. The second package, as it would be published, in an application of version 2 of the SDK. */
beforeAll(async () => {
  registry = await startRegistry();
  packed = await mkdtemp(join(tmpdir(), 'anypod-server-packed-'));
  const { stdout } = await run('npm', ['pack', './dist-server', '--ignore-scripts', '--pack-destination', packed]);
  tarball = join(packed, stdout.trim());
  app = await install('npm', registry.url, {
    type: 'module',
    dependencies: {
      [PACKAGE]: `file:${tarball}`,
      [SERVER]: '^2.4.0',
      '@modelcontextprotocol/client': '^2.4.0',
      ioredis: '^6.0.0',
      pg: '^8.23.1',
      redis: '^6.3.1'
    }
  });
});

afterAll(async () => {
  await app?.remove();
  if (packed) await rm(packed, { recursive: true });
  await registry?.stop();
});

test('is right for publint, and has right types in each resolution', async () => {
  const { stdout } = await run(process.execPath, ['test/swap/packageProblems.mjs', tarball]);
  const { entrypoints, ...found } = JSON.parse(stdout) as { entrypoints: number };
  expect(found).toEqual({ publint: [], types: { kind: 'included' }, problems: [] });
  expect(entrypoints).toBe(4);
});

test('holds the build and its documents, and nothing else', async () => {
  const { stdout } = await run('tar', ['-tzf', tarball]);
  const files = stdout.trim().split('\n');
  const known =
    /^package\/(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/cjs\/package\.json|dist\/(esm|cjs)\/[\w/]+\.(js|d\.ts))$/;
  expect(files.filter(path => !known.test(path))).toEqual([]);
  expect(
    files.filter(path => /task/i.test(path) && !/liveServers|openTasks|runningTasks|taskMessages/.test(path))
  ).toEqual([]);
});

test('brings no other package, so version 1 of the SDK is not in the tree', async () => {
  const { dependencies, optionalDependencies } = await manifest();
  expect([dependencies, optionalDependencies]).toEqual([undefined, undefined]);
  const lock = JSON.parse(await readFile(join(app.folder, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, unknown>;
  };
  const installed = Object.keys(lock.packages).map(path => path.replace(/^.*node_modules\//, ''));
  expect(installed).toEqual(expect.arrayContaining([PACKAGE, SERVER]));
  expect(installed.filter(name => /^@modelcontextprotocol\/sdk$|upstream|express|hono/.test(name))).toEqual([]);
});

test('serves clients of both eras on two pods, of which one is the CommonJS build', async () => {
  const { stdout } = await app.run('serverPackage.mjs');
  expect(JSON.parse(stdout)).toEqual({
    answers: { sessions: ['cjs', 'esm'], auto: ['cjs', 'esm'] },
    mistakes: {},
    warnings: [],
    testing: 'function',
    same: true
  });
});

test('passes every contract suite that it exports, with its stores in memory, files, Redis and Postgres', async () => {
  const outcomeOf = (suites: string[]) =>
    Object.fromEntries(
      suites.map(suite => [`${suite}Contract`, { passed: expect.any(Number) as number, failed: [] as string[] }])
    );
  const ofSessions = ['lock', 'principal', 'sessionState', 'sessionStore'];
  const all = outcomeOf(['eventStore', 'sessionBus', ...ofSessions]);
  const outputs = await Promise.all(
    [
      ['memory'],
      ['file'],
      ['redis', servers.redis.url],
      ['node-redis', servers.redis.url],
      ['postgres', servers.postgres.url]
    ].map(backend => app.run('serverContracts.mjs', ...backend))
  );
  const found = outputs.map(({ stdout }) => JSON.parse(stdout) as unknown);
  expect(found).toEqual([all, outcomeOf(ofSessions), all, all, all]);
});

test('keeps the OAuth of the client of version 2 in sessions that two pods share', async () => {
  const server = await startPod('test/cluster/oauthServer.ts');
  const { stdout } = await app
    .run('serverClientSessions.mjs', servers.redis.url, server.origin)
    .finally(() => server.stop('SIGKILL'));
  expect(JSON.parse(stdout)).toEqual({
    stranger: null,
    finished: true,
    again: null,
    sameToken: [true, true, true],
    refreshed: [true, true, true, true],
    stored: true,
    issuers: [true, true],
    reuses: 0,
    codes: 2
  });
});

test.each<[string, Platform, string[]]>([
  ['browsers', 'browser', []],
  ['Workers', 'browser', ['workerd', 'worker', 'browser']]
])('a bundle for %s is built, and serves sessions', async (_name, platform, conditions) => {
  await build({
    entryPoints: [join(app.folder, 'serverBundle.mjs')],
    outfile: join(app.folder, 'bundle.mjs'),
    bundle: true,
    platform,
    conditions,
    mainFields: ['module', 'main'],
    format: 'esm',
    banner: { js: 'process.getBuiltinModule = undefined;' },
    logLevel: 'silent'
  });
  expect(await readFile(join(app.folder, 'bundle.mjs'), 'utf8')).not.toMatch(/from ["'](node:|events|net)/);
  const { stdout } = await app.run('bundle.mjs');
  expect(JSON.parse(stdout)).toEqual({
    answers: ['pod 0', 'pod 1'],
    redis: expect.stringContaining('This bundle has no ioredis: build it with the condition "node"') as string
  });
});

describe('a strict consumer compiles', () => {
  const { ModuleKind: M, ModuleResolutionKind: R } = ts;
  const source = `
import { McpServer, createMcpHandler as sdkHandler, type ServerContext } from '${SERVER}';
import { createMcpHandler, createRequestStateCodec, createSessionServices, InMemorySessionStore, sessionState, SharedServerEventBus, WebStandardStreamableHTTPServerTransport } from '${PACKAGE}';
import { sessionStoreContract } from '${PACKAGE}/testing';
import { createClientSessions } from '${PACKAGE}/client-sessions';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

export async function serve(): Promise<void> {
  const services = await createSessionServices();
  const codec = createRequestStateCodec<{ step: number }>({ keys: [new Uint8Array(32)], store: services.sessionStore });
  const factory = () => {
    const server = new McpServer({ name: 's', version: '1' }, { requestState: { verify: codec.verify } });
    server.registerTool('t', {}, async (ctx: ServerContext) => {
      await sessionState<number>(ctx).update(old => (old ?? 0) + 1);
      return { content: [{ type: 'text' as const, text: await codec.mint({ step: 1 }, ctx) }] };
    });
    return server;
  };
  const handler = createMcpHandler(factory, { ...services });
  const response: Response = await handler.fetch(new Request('http://x'));
  sdkHandler(factory, { bus: new SharedServerEventBus({ bus: services.sessionBus }) });
  await factory().connect(new WebStandardStreamableHTTPServerTransport({ sessionStore: new InMemorySessionStore() }));
  // @ts-expect-error sessions are what it is for
  createMcpHandler(factory, { legacy: 'reject' });
  void [response, sessionStoreContract];
}

export async function transport(): Promise<StreamableHTTPClientTransport> {
  const sessions = createClientSessions({ store: new InMemorySessionStore() });
  const { sessionId, serverUrl } = await sessions.createSession({ identity: 'alice', serverUrl: 'https://x/mcp' });
  const authProvider = await sessions.oauthProvider('alice', sessionId, { redirectToAuthorization: () => {} });
  const tokens = await authProvider.tokens({ issuer: 'https://auth.x' });
  await sessions.updateSession('alice', sessionId, { tokens: { access_token: 't', token_type: 'b', ...tokens } });
  return new StreamableHTTPClientTransport(new URL(serverUrl), { authProvider });
}
`;
  test.each([
    ['node16', M.Node16, R.Node16],
    ['nodenext', M.NodeNext, R.NodeNext],
    ['bundler', M.ESNext, R.Bundler]
  ])('with moduleResolution %s', async (resolution, module, moduleResolution) => {
    const names = ['consumer.ts', ...(resolution === 'bundler' ? [] : ['consumer.cts'])];
    for (const name of names) await writeFile(join(app.folder, name), source);
    const files = names.map(name => join(app.folder, name));
    const program = ts.createProgram(files, {
      target: ts.ScriptTarget.ES2022,
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: ['node'],
      typeRoots: [resolve('node_modules/@types')],
      module,
      moduleResolution
    });
    const own = program.getSourceFiles().filter(({ fileName }) => /consumer\.|mcp-server-anypod\/dist/.test(fileName));
    expect(own.length).toBeGreaterThan(40);
    const said = own.flatMap(file => program.getSemanticDiagnostics(file));
    expect(said.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  });
});

describe('one clear line', () => {
  test.each([
    ['2.3.9', 'refused'],
    ['3.0.0', 'refused'],
    ['2.99.0', 'accepted']
  ])('for version %s of the server package: it is %s', async (version, outcome) => {
    const path = join(app.folder, 'node_modules', SERVER, 'package.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(/"version": "[^"]*"/, `"version": "${version}"`));
    const { stdout } = await app.run('constructServer.mjs').finally(() => writeFile(path, text));
    const message =
      `mcp-server-anypod needs @modelcontextprotocol/server 2.4.0 or later, before 3, and runs on ${version}: ` +
      'install a version that it supports';
    const refused = Array(2).fill({ code: 'ANYPOD_UNSUPPORTED_RUNTIME', message }) as unknown[];
    expect(JSON.parse(stdout)).toEqual(outcome === 'refused' ? refused : []);
  });

  test('for stores of the two packages that are mixed in one process', async () => {
    const both = await install('npm', registry.url, {
      type: 'module',
      dependencies: {
        [PACKAGE]: `file:${tarball}`,
        'mcp-sdk-anypod': `file:${registry.tarball}`,
        [SERVER]: '^2.4.0',
        '@modelcontextprotocol/client': '^2.4.0'
      }
    });
    const { stdout } = await both.run('serverPackage.mjs').finally(() => both.remove());
    const { mistakes, warnings } = JSON.parse(stdout) as { mistakes: unknown; warnings: unknown };
    const refused = (option: string, from: string, by: string): string =>
      `ANYPOD_INVALID_OPTION: Invalid option ${option}: got an object of ${from}, expected one of ${by}, which this call belongs to`;
    expect(mistakes).toEqual({
      'a store of the other package': refused('sessionStore', 'mcp-sdk-anypod', PACKAGE),
      'a store for the other package': refused('sessionStore', PACKAGE, 'mcp-sdk-anypod'),
      'an event store of the other package': refused('eventStore', 'mcp-sdk-anypod', PACKAGE),
      'an encrypted store of the other package': refused('sessionStore', 'mcp-sdk-anypod', PACKAGE),
      'a bus of the other package': refused('bus', 'mcp-sdk-anypod', PACKAGE)
    });
    expect(warnings).toEqual([]);
  });
});

async function manifest(): Promise<Record<string, unknown>> {
  const folder = join(app.folder, 'node_modules', PACKAGE);
  expect(await readdir(folder)).toContain('README.md');
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
}
