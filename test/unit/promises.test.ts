import { readdirSync, readFileSync } from 'node:fs';
import { promises } from '../promises.js';

const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.test.ts'));
const carried = files.flatMap(file =>
  [...readFileSync(`test/${file}`, 'utf8').matchAll(/^ *\/\/ Promise: (.+)\n *(.*)$/gm)].map(
    ([, ids, test]) => [file, ids!.split(', '), test!] as const
  )
);

test('every promise names the files of the tests that carry its id, and no other files', () => {
  const found = new Map<string, Set<string>>();
  for (const [file, ids] of carried) {
    for (const id of ids) found.set(id, (found.get(id) ?? new Set()).add(file));
  }
  expect(Object.fromEntries([...found].map(([id, names]) => [id, [...names].sort()]))).toEqual(
    Object.fromEntries(promises.map(({ id, files: named }) => [id, [...named].sort()]))
  );
  for (const { files: named } of promises) expect(named).not.toEqual([]);
});

test('every comment that names a promise stands right above a test', () => {
  expect(carried.filter(([, , test]) => !/^(test|it|describe)(\.each)?\b/.test(test))).toEqual([]);
});

test('test/README.md has a row for every promise', () => {
  const rows = readFileSync('test/README.md', 'utf8').match(/^\| [LF]\d+ \|.*$/gm);
  expect(
    rows?.map(row => row.split('|').map(cell => cell.trim())).map(([, id, sentence, named]) => [id, sentence, named])
  ).toEqual(
    promises.map(({ id, sentence, files: named }) => [id, sentence, named.map(file => `\`${file}\``).join(', ')])
  );
});
