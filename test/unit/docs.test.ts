import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import * as anypod from 'mcp-sdk-anypod/server';
import { OLDEST_NODES, SDK_VERSIONS } from '../../src/installation.js';
import { documents } from '../support/readme.js';

const readme = readFileSync('README.md', 'utf8');

describe('the documents', () => {
  it('link only to paths and headings that exist', () => {
    const links = documents.flatMap(document => linksOf(document).map(target => ({ document, target })));
    expect(links.length).toBeGreaterThan(50);
    const broken = links.filter(({ document, target }) => !leadsSomewhere(document, target));
    expect(broken).toEqual([]);
  });

  it('are each linked from README.md, or from a document that it links to', () => {
    const reachable = new Set(['README.md']);
    for (const document of reachable) {
      for (const target of linksOf(document).map(target => pathOf(document, target))) {
        for (const path of [target, join(target, 'README.md')]) if (documents.includes(path)) reachable.add(path);
      }
    }
    expect([...reachable].sort()).toEqual(documents);
  });
});

describe('src/README.md', () => {
  const text = readFileSync('src/README.md', 'utf8');

  it('names only files and folders that exist', () => {
    const folders = readdirSync('src', { withFileTypes: true }).filter(entry => entry.isDirectory());
    const path = new RegExp(
      `(?<![\\w./-])(?:${folders.map(({ name }) => name).join('|')})(?:/[\\w-]+)+(?:\\.\\w+)?`,
      'g'
    );
    const named = [...text.matchAll(path)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(20);
    const missing = named.filter(name => !existsSync(join('src', name)) && !existsSync(join('src', `${name}.ts`)));
    expect(missing).toEqual([]);
  });

  it('answers its questions with files, and with test titles that stand in the named test files', () => {
    const table = text.slice(text.indexOf('## Where is it decided?'), text.indexOf('## Words'));
    const rows = table.split('\n').filter(row => row.startsWith('| ') && row.includes('?'));
    expect(rows.length).toBeGreaterThanOrEqual(6);
    expect(rows.filter(row => !/\]\([\w./]+\)/.test(row))).toEqual([]);
    const titles = rows.flatMap(row => {
      const tests = [...row.matchAll(/\]\((\.\.\/test\/[\w./]+)\)/g)].map(([, path]) =>
        readFileSync(join('src', path!), 'utf8')
      );
      return [...row.matchAll(/"([^"]+)"/g)].map(([, title]) => ({
        title,
        isTitle: tests.some(test => test.includes(`'${title}'`))
      }));
    });
    expect(titles.length).toBeGreaterThan(0);
    expect(titles.filter(({ isTitle }) => !isTitle)).toEqual([]);
  });

  it('names every folder of src', () => {
    const folders = readdirSync('src', { withFileTypes: true }).filter(entry => entry.isDirectory());
    const layers = text.slice(text.indexOf('## Layers'), text.indexOf('## Five routes'));
    expect(folders.map(({ name }) => name).filter(name => !new RegExp(`\\b${name}\\b`).test(layers))).toEqual([]);
  });

  it('shows five routes, each as a sequence diagram', () => {
    expect(text.match(/^### \d\. /gm)).toHaveLength(5);
    expect(text.match(/^sequenceDiagram$/gm)).toHaveLength(5);
  });

  it('lists each error class with its code, and no other', () => {
    const documented = [...text.matchAll(/^\| `(\w+Error)` \| `(ANYPOD_\w+)` \|/gm)].map(([, name, code]) => [
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
});

/** The relative links of a document, outside of code. */
function linksOf(document: string): string[] {
  const text = readFileSync(document, 'utf8').replace(/^```.*?^```$/gms, '');
  return [...text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, target]) => target as string);
}

function pathOf(document: string, target: string): string {
  const [path] = target.split('#') as [string];
  return path === '' ? document : normalize(join(dirname(document), path)).replace(/\/$/, '');
}

function leadsSomewhere(document: string, target: string): boolean {
  const path = pathOf(document, target);
  const [, heading] = target.split('#');
  if (!existsSync(path)) return false;
  return heading === undefined || headingsOf(path).includes(heading);
}

/** The anchors that GitHub makes of the headings of a document. */
function headingsOf(path: string): string[] {
  return [...readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    (title as string)
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  );
}

describe('README.md', () => {
  it('is at most 14 KB and has one diagram', () => {
    expect(Buffer.byteLength(readme)).toBeLessThanOrEqual(14 * 1024);
    expect(readme.match(/^```mermaid$/gm)).toHaveLength(1);
  });

  it('names the versions of the SDK that a transport takes without a warning', () => {
    const [, list] = /pass with versions ([\d., and]+)\. Another/.exec(readme) ?? [];
    expect(list?.match(/\d+\.\d+\.\d+/g)).toEqual(SDK_VERSIONS);
  });

  it('names the same versions of Node as package.json and the check in the transport', () => {
    const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
    const [oldest, oldestOfNewer] = OLDEST_NODES;
    expect(engines.node).toBe(`^${oldest} || >=${oldestOfNewer}`);
    expect(readme).toContain(`Node ${oldest}, or ${oldestOfNewer} or later.`);
    expect(readFileSync('src/README.md', 'utf8')).toContain(`on a Node older than ${oldest},`);
  });
});

describe('the examples', () => {
  it('contain the code that examples/migrate/README.md shows', () => {
    const example = readFileSync('examples/migrate/hand-wired.ts', 'utf8');
    const shown = [...readFileSync('examples/migrate/README.md', 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)];
    const ofMap = shown.filter(([, code]) => code?.includes('new Map'));
    expect(ofMap).toHaveLength(1);
    expect(example).toContain(ofMap[0]?.[1]);
  });

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
