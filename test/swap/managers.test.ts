import { readFileSync } from 'node:fs';
import { install, type Manager } from './application.js';
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
  /** What the application imports. @default the SDK's name */
  readonly name?: string;
}

/** An application may use them for its own purposes, on its own terms. */
const olderClients = { ioredis: '^4.28.0', iovalkey: '0.2.1', pg: '^7.18.0', redis: '^4.7.0' };

/** Every way that examples/swap/README.md describes. */
const ways: Way[] = [
  { manager: 'npm', title: 'an alias', manifest: { dependencies: { [SDK]: fork, ...framework } } },
  {
    manager: 'npm',
    title: 'an alias, beside older clients of databases',
    manifest: { dependencies: { [SDK]: fork, ...framework, ...olderClients } }
  },
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

const withoutThem: Way = { manager: 'npm', title: 'nothing of it', manifest: { dependencies: application } };
const byItsOwnName: Way = {
  manager: 'npm',
  title: 'by its own name',
  manifest: { dependencies: { 'mcp-sdk-anypod': version, ...framework } },
  name: 'mcp-sdk-anypod'
};

const onTwoPods = { fork: true, sessionOnTwoPods: 'pod 0,pod 1' };

describe('an application with a framework that depends on the SDK by a range', () => {
  let registry: Registry;
  let found: Map<Way, Promise<unknown>>;

  beforeAll(async () => {
    registry = await startRegistry();
    found = inTwoLanes([...ways, withoutThem, byItsOwnName], way => factsOf(way, registry));
  });

  afterAll(async () => {
    // Where a test has timed out, an install may still ask the registry.
    await Promise.allSettled(found?.values() ?? []);
    await registry?.stop();
  });

  test.each(ways)('gets the fork everywhere and no class twice: $manager, $title', async way => {
    expect(await found.get(way)).toEqual({ ...onTwoPods, dependent: true, dependentRequired: true });
  });

  test('has the stock SDK without the overrides', async () => {
    await expect(found.get(withoutThem)).rejects.toThrow('InMemorySessionStore');
  });

  test('gets the fork under its own name, and the framework gets the stock SDK', async () => {
    expect(await found.get(byItsOwnName)).toEqual({ ...onTwoPods, dependent: false, dependentRequired: false });
  });
});

/** In two lanes: an install waits for the network and the disk as much as for a processor. */
function inTwoLanes<T, R>(items: T[], work: (item: T) => Promise<R>): Map<T, Promise<R>> {
  const lanes: [Promise<unknown>, Promise<unknown>] = [Promise.resolve(), Promise.resolve()];
  return new Map(
    items.map((item, index) => {
      const lane = (index % 2) as 0 | 1;
      const result = lanes[lane].then(() => work(item));
      // Its test may come to it only after it has failed.
      lanes[lane] = result.catch(() => {});
      return [item, result];
    })
  );
}

async function factsOf(way: Way, registry: Registry): Promise<unknown> {
  const app = await install(way.manager, registry.url, way.manifest, way.files);
  try {
    const { stdout } = await app.run('facts.mjs', way.name ?? SDK);
    return JSON.parse(stdout);
  } finally {
    await app.remove();
  }
}
