import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Application, install } from './application.js';
import { type Registry, startRegistry } from './registry.js';

const SDK = '@modelcontextprotocol/sdk';

describe('what a transport says of how it was installed', () => {
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

  test('is nothing where all is well, also where ESM and CommonJS are loaded from one copy', async () => {
    expect(await said([SDK])).toEqual([]);
  });

  test('is one line on two copies: where they are, and the remedy', async () => {
    const message = expect.stringMatching(
      /^Two copies of mcp-sdk-anypod .*node_modules\/@modelcontextprotocol\/sdk and .*node_modules\/mcp-sdk-anypod\. Have one installed, by an override.*$/
    ) as string;
    expect(await said([SDK, 'mcp-sdk-anypod'])).toEqual([{ code: 'ANYPOD_TWO_COPIES', message }]);
  });

  test('is one line on an SDK that it was not tested with: its version, and the remedy', async () => {
    const path = join(app.folder, 'node_modules/mcp-sdk-upstream/package.json');
    const manifest = await readFile(path, 'utf8');
    await writeFile(path, manifest.replace(/"version": "[^"]*"/, '"version": "1.99.0"'));
    const found = await said([SDK]);
    await writeFile(path, manifest);
    const message = expect.stringMatching(
      /^mcp-sdk-anypod runs on version 1\.99\.0 of .* tested with .*1\.32\.2: remove the override for mcp-sdk-upstream$/
    ) as string;
    expect(found).toEqual([{ code: 'ANYPOD_SDK_VERSION', message }]);
  });

  test('is one line on a Node that is too old, thrown', async () => {
    const found = await said([SDK], '18.20.8');
    const message = 'mcp-sdk-anypod needs Node 20 or later and runs on 18.20.8: install a newer Node';
    // By the ESM and by the CommonJS build.
    expect(found).toEqual(Array(2).fill({ code: 'ANYPOD_UNSUPPORTED_RUNTIME', message }));
  });

  test('a peer that is missing is named by the module that needs it', async () => {
    const found = await said([`${SDK}/validation/cfworker`], '--import');
    expect(found).toEqual([
      { code: 'ERR_MODULE_NOT_FOUND', message: expect.stringContaining("'@cfworker/json-schema'") as string }
    ]);
  });

  const said = async (names: string[], node?: string): Promise<unknown> =>
    JSON.parse((await app.run('construct.mjs', ...(node ? [node] : []), ...names)).stdout);
});
