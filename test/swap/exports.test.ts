import { readFileSync } from 'node:fs';
import { exportedNames } from './exportedNames.js';

/* Needs a build. test/swap/exports.txt lists what a release exports, so that nobody takes something away unnoticed. */

const listed = readFileSync('test/swap/exports.txt', 'utf8').trim().split('\n');
const found = exportedNames('dist/esm');

test('every export in test/swap/exports.txt is in the build', () => {
  expect(listed.filter(line => !found.includes(line))).toEqual([]);
});

test('every export of the build is in test/swap/exports.txt: add the lines that are missing', () => {
  expect(found.filter(line => !listed.includes(line))).toEqual([]);
});
