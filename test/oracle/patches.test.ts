import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allowedDifferences } from './allowedDifferences.js';
import { differencesV2 } from './allowedDifferencesV2.js';

// Promise: L2
it.each([
  ['version 1', /^## (\d+)\. (.+)$/gm, allowedDifferences],
  ['version 2', /^## V2-(\d+)\. (.+)$/gm, differencesV2]
])(
  'PATCHES.md has a section for every allowed difference from %s, and for nothing else',
  (_version, heading, allowed) => {
    const patches = readFileSync(join(__dirname, '../../PATCHES.md'), 'utf8');
    const sections = [...patches.matchAll(heading)].map(([, number, title]) => ({ number: Number(number), title }));
    expect(sections).toEqual(allowed.map(({ number, title }) => ({ number, title })));
  }
);
