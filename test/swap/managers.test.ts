import { readFileSync } from 'node:fs';
import { type Application, install, type Manager } from './application.js';
import { type Registry, startRegistry } from './registry.js';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const SDK = '@modelcontextprotocol/sdk';
const fork = `npm:mcp-sdk-anypod@${version}`;
const framework = { 'sdk-dependent': '1.0.0' };
const application = { [SDK]: '^1.29.0', ...framework };

interface Way {
  readonly manager: Manager;
  readonly title: string;
  readonly manifest: Record<string, unknown>;
  readonly files?: Record<string, string>;
}

/** Everything README says that a team can do. */
const ways: Way[] = [
  { manager: 'npm', title: 'an alias', manifest: { dependencies: { [SDK]: fork, ...framework } } },
  {
    manager: 'npm',
    title: 'overrides, where only a framework asks for the SDK',
    manifest: { dependencies: framework, overrides: { [SDK]: fork } }
  },
  {
    manager: 'npm',
    title: 'an alias that is the override as well',
    manifest: { dependencies: { [SDK]: fork, ...framework }, overrides: { [SDK]: `$${SDK}` } }
  },
  {
    manager: 'pnpm',
    title: 'overrides in package.json',
    manifest: { dependencies: application, pnpm: { overrides: { [SDK]: fork } } }
  },
  {
    manager: 'pnpm',
    title: 'overrides in pnpm-workspace.yaml',
    manifest: { dependencies: application },
    files: { 'pnpm-workspace.yaml': `overrides:\n  '${SDK}': '${fork}'\n` }
  },
  {
    manager: 'yarn classic',
    title: 'an alias that is the resolution as well',
    manifest: { dependencies: { [SDK]: fork, ...framework }, resolutions: { [SDK]: fork } }
  },
  { manager: 'yarn', title: 'resolutions', manifest: { dependencies: application, resolutions: { [SDK]: fork } } },
  { manager: 'yarn pnp', title: 'resolutions', manifest: { dependencies: application, resolutions: { [SDK]: fork } } }
];

describe('an application with a framework that depends on the SDK by a range', () => {
  let registry: Registry;
  let installed: Application | undefined;

  beforeAll(async () => {
    registry = await startRegistry();
  });

  afterEach(() => installed?.remove());
  afterAll(() => registry?.stop());

  test.each(ways)('gets the fork everywhere and no class twice: $manager, $title', async way => {
    installed = await install(way.manager, registry.url, way.manifest, way.files);
    expect(await factsOf(installed, SDK)).toEqual({
      fork: true,
      sessionOnTwoPods: 'pod 0,pod 1',
      dependent: true,
      dependentRequired: true
    });
  });

  test('has the stock SDK without them', async () => {
    installed = await install('npm', registry.url, { dependencies: application });
    await expect(factsOf(installed, SDK)).rejects.toThrow('InMemorySessionStore');
  });

  test('that imports the fork by its own name has it, and the framework has the stock SDK', async () => {
    installed = await install('npm', registry.url, { dependencies: { 'mcp-sdk-anypod': version, ...framework } });
    expect(await factsOf(installed, 'mcp-sdk-anypod')).toEqual({
      fork: true,
      sessionOnTwoPods: 'pod 0,pod 1',
      dependent: false,
      dependentRequired: false
    });
  });
});

async function factsOf(app: Application, name: string): Promise<unknown> {
  const { stdout } = await app.run('facts.mjs', name);
  return JSON.parse(stdout);
}
