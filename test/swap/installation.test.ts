import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Application, install } from './application.js';
import { type Registry, startRegistry } from './registry.js';

const run = promisify(execFile);
const SDK = '@modelcontextprotocol/sdk';

describe('the warning about the installation', () => {
  let registry: Registry;
  let app: Application;

  beforeAll(async () => {
    registry = await startRegistry();
    const fork = `file:${registry.tarball}`;
    app = await install('npm', registry.url, { dependencies: { 'mcp-sdk-anypod': fork, [SDK]: fork } });
  });

  afterAll(async () => {
    await app?.remove();
    await registry?.stop();
  });

  test('is absent for a correct installation, even if ESM and CommonJS are loaded from one copy', async () => {
    expect(await said([SDK])).toEqual([]);
  });

  test('is the same in a folder whose name has characters that a URL encodes', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'anypod-signs-'));
    const moved = { folder: join(parent, 'C# 100%25 ü') };
    await cp(app.folder, moved.folder, { recursive: true, verbatimSymlinks: true });
    const saidThere = async (): Promise<unknown> => {
      const { stdout } = await run(process.execPath, ['construct.mjs', SDK], { cwd: moved.folder });
      return JSON.parse(stdout);
    };
    expect(await saidThere()).toEqual([]);
    // By the ESM and by the CommonJS build.
    const refused = expect.objectContaining({ code: 'ANYPOD_UNSUPPORTED_RUNTIME' }) as unknown;
    expect(await withSdkVersion('1.29.0', saidThere, moved)).toEqual([refused, refused]);
    await rm(parent, { recursive: true });
  });

  test('names two copies, where they are and the remedy, in one line', async () => {
    const message = expect.stringMatching(
      /^Two copies of mcp-sdk-anypod .*node_modules\/@modelcontextprotocol\/sdk and .*node_modules\/mcp-sdk-anypod\. Install only one, with an override.*$/
    ) as string;
    expect(await said([SDK, 'mcp-sdk-anypod'])).toEqual([{ code: 'ANYPOD_TWO_COPIES', message }]);
  });

  test('names an untested version of the SDK and the remedy, in one line', async () => {
    const found = await withSdkVersion('1.99.0', () => said([SDK]));
    const message = expect.stringMatching(
      /^mcp-sdk-anypod runs on version 1\.99\.0 of .* tested with .*1\.32\.2: remove the override for mcp-sdk-upstream$/
    ) as string;
    expect(found).toEqual([{ code: 'ANYPOD_SDK_VERSION', message }]);
  });

  test.each(['18.20.8', '20.15.1', '21.7.3', '22.2.0'])(
    'is thrown as one line on Node %s, which is too old',
    async node => {
      const found = await said([SDK], node);
      const message = `mcp-sdk-anypod needs Node 20.16, or 22.3 or later, and runs on ${node}: install a newer Node`;
      // By the ESM and by the CommonJS build.
      expect(found).toEqual(Array(2).fill({ code: 'ANYPOD_UNSUPPORTED_RUNTIME', message }));
    }
  );

  test.each(['20.16.0', '22.3.0', '24.0.0'])('is absent on Node %s', async node => {
    expect(await said([SDK], node)).toEqual([]);
  });

  test.each(['1.29.0', '1.9.3', '1.30.0'])('is an error of one line on SDK %s, which is too old', async version => {
    const found = await withSdkVersion(version, () => said([SDK]));
    const message =
      `mcp-sdk-anypod needs @modelcontextprotocol/sdk 1.30.1 or later and runs on ${version}: ` +
      'remove the override for mcp-sdk-upstream';
    expect(found).toEqual(Array(2).fill({ code: 'ANYPOD_UNSUPPORTED_RUNTIME', message }));
  });

  test.each([
    ['Redis', 'No client for Redis is', 'ioredis \\(or redis, or iovalkey', { REDIS_URL: 'redis://127.0.0.1:1' }],
    ['Redis', 'No client for Redis is', 'ioredis \\(or redis, or iovalkey', { MCP_TS_STORAGE_TYPE: 'redis' }],
    ['Postgres', 'The package pg is not', 'pg\\b', { DATABASE_URL: 'postgres://127.0.0.1:1/none' }]
  ])('is one line if the environment asks for %s and no client is installed', async (_backend, what, names, env) => {
    const { stdout } = await app.run('services.mjs', SDK, JSON.stringify(env));
    const message = expect.stringMatching(`^${what} .*installed: npm install ${names}.*$`) as string;
    expect(JSON.parse(stdout)).toEqual(Array(2).fill({ code: 'ANYPOD_BACKEND_UNAVAILABLE', message }));
  });

  test('does not affect the entry points that are named like other libraries, as ESM and as CommonJS', async () => {
    const { stdout } = await app.run('names.mjs', 'mcp-sdk-anypod');
    const once = { value: { data: 'test' }, sessions: ['s'], client: 'ada' };
    expect(JSON.parse(stdout)).toEqual([once, once]);
  });

  test('a missing peer dependency is named by the module that needs it', async () => {
    const found = await said([`${SDK}/validation/cfworker`], '--import');
    expect(found).toEqual([
      { code: 'ERR_MODULE_NOT_FOUND', message: expect.stringContaining("'@cfworker/json-schema'") as string }
    ]);
  });

  /** The SDK under the fork says that it is of that version. */
  async function withSdkVersion<T>(
    version: string,
    action: () => Promise<T>,
    { folder }: Pick<Application, 'folder'> = app
  ): Promise<T> {
    const path = join(folder, 'node_modules/mcp-sdk-upstream/package.json');
    const manifest = await readFile(path, 'utf8');
    await writeFile(path, manifest.replace(/"version": "[^"]*"/, `"version": "${version}"`));
    return action().finally(() => writeFile(path, manifest));
  }

  const said = async (names: string[], node?: string): Promise<unknown> =>
    JSON.parse((await app.run('construct.mjs', ...(node ? [node] : []), ...names)).stdout);
});

describe.each(['1.24.0', '1.30.0'])('on SDK %s, by an override', version => {
  let registry: Registry;
  let app: Application;

  beforeAll(async () => {
    registry = await startRegistry();
    app = await install('npm', registry.url, {
      dependencies: { [SDK]: `file:${registry.tarball}` },
      overrides: { 'mcp-sdk-upstream': `npm:${SDK}@${version}` }
    });
  });

  afterAll(async () => {
    await app?.remove();
    await registry?.stop();
  });

  test('the modules load, and the first transport reports the problem in one line', async () => {
    const message =
      `mcp-sdk-anypod needs @modelcontextprotocol/sdk 1.30.1 or later and runs on ${version}: ` +
      'remove the override for mcp-sdk-upstream';
    const found = await app.run('construct.mjs', SDK);
    expect(JSON.parse(found.stdout)).toEqual(Array(2).fill({ code: 'ANYPOD_UNSUPPORTED_RUNTIME', message }));
    const imported = await app.run('construct.mjs', '--import', `${SDK}/server`);
    expect(JSON.parse(imported.stdout)).toEqual([]);
  });
});
