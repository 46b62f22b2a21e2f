import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as anypod from 'mcp-sdk-anypod/server';
import { OLDEST_NODES, SDK_VERSIONS } from '../../src/installation.js';

const readme = readFileSync('README.md', 'utf8');

describe('the README', () => {
  it('lists each error class with its code, and no other', () => {
    const documented = [...readme.matchAll(/^\| `(\w+Error)` \| `(ANYPOD_\w+)` \|/gm)].map(([, name, code]) => [
      name,
      code
    ]);
    const classes = Object.entries(anypod)
      .filter(([name, value]) => typeof value === 'function' && value.prototype instanceof anypod.AnypodError && name)
      .map(([name, Class]) => {
        const error = Reflect.construct(Class as unknown as new () => anypod.AnypodError, [
          'a',
          'b',
          'c'
        ]) as anypod.AnypodError;
        return [name, error.code] as const;
      });
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(classes));
  });

  it('names the versions of the SDK that a transport takes without a warning', () => {
    const [, list] = /passes on ([\d., and]+) of it/.exec(readme) ?? [];
    expect(list?.match(/\d+\.\d+\.\d+/g)).toEqual(SDK_VERSIONS);
  });

  it('and package.json name the versions of Node that a transport runs on', () => {
    const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
    const [oldest, oldestOfNewer] = OLDEST_NODES;
    expect(engines.node).toBe(`^${oldest} || >=${oldestOfNewer}`);
    expect(readme).toContain(`Node ${oldest}, or ${oldestOfNewer} or later.`);
    expect(readme).toContain(`on a Node older than ${oldest},`);
  });
});

describe('the examples', () => {
  it('import nothing that an application with this package does not have', () => {
    const files = readdirSync('examples', { recursive: true, encoding: 'utf8' }).filter(path =>
      /\.m?[jt]s$/.test(path)
    );
    expect(files.length).toBeGreaterThan(20);
    const imports = files.flatMap(path =>
      [
        ...readFileSync(join('examples', path), 'utf8').matchAll(/\bfrom '([./]+\/src\/[^']*|mcp-sdk-upstream[^']*)'/g)
      ].map(([, name]) => `${path}: ${name}`)
    );
    expect(imports).toEqual([]);
  });
});
