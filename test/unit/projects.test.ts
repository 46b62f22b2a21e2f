import { readdirSync, readFileSync } from 'node:fs';

const folders = new Set(
  readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.test.ts'))
    .map(path => path.split('/')[0]!)
);

test('every folder of test that has tests is a jest project', () => {
  const [, list] = /projects: \[\s*\.\.\.\[([^\]]*)\]/.exec(readFileSync('jest.config.mjs', 'utf8'))!;
  expect([...list!.matchAll(/'(\w+)'/g)].map(([, name]) => name).sort()).toEqual([...folders].sort());
});

test('test/README.md has a row for every jest project', () => {
  const rows = [...readFileSync('test/README.md', 'utf8').matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  expect(rows.sort()).toEqual([...folders, 'postgres'].sort());
});

test('npm test runs every jest project', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const commands = `${scripts.check} ${scripts.test}`;
  for (const name of [...folders, 'postgres'])
    expect(commands).toMatch(new RegExp(`--selectProjects [^&]*\\b${name}\\b`));
});
