import { readFileSync } from 'node:fs';
import { mutations } from '../simulation/mutations.js';

test.each(mutations.map(mutation => [mutation.fault, mutation] as const))(
  'the code that the simulation breaks stands once in its file: %s',
  (_fault, { file, find }) => {
    expect(readFileSync(`src/${file}`, 'utf8').split(find).length - 1).toBe(1);
  }
);

test('each fault has one title', () => {
  const faults = mutations.map(({ fault }) => fault);
  expect(faults).toEqual([...new Set(faults)]);
});
