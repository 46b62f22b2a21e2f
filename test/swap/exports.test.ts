import { readFileSync } from 'node:fs';
import { ENTRIES, exportedNames, SERVER_ENTRIES } from './exportedNames.js';

/* Needs a build. The lists have what a release exports, so that nobody takes something away unnoticed. */

describe.each([
  ['exports.txt', 'dist/esm', ENTRIES],
  ['exportsServer.txt', 'dist-server/dist/esm', SERVER_ENTRIES]
])('test/swap/%s', (list, dist, entries) => {
  const listed = readFileSync(`test/swap/${list}`, 'utf8').trim().split('\n');
  const found = exportedNames(dist, entries);

  test('every export that it lists is in the build', () => {
    expect(listed.filter(line => !found.includes(line))).toEqual([]);
  });

  test('every export of the build is in it: add the lines that are missing', () => {
    expect(found.filter(line => !listed.includes(line))).toEqual([]);
  });
});
