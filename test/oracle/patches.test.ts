import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allowedDifferences } from './allowedDifferences.js';

// Promise: L2
it('PATCHES.md has a section for every allowed difference, and for nothing else', () => {
  const patches = readFileSync(join(__dirname, '../../PATCHES.md'), 'utf8');
  const sections = [...patches.matchAll(/^## (\d+)\. (.+)$/gm)].map(([, number, title]) => ({
    number: Number(number),
    title
  }));
  expect(sections).toEqual(allowedDifferences.map(({ number, title }) => ({ number, title })));
});
