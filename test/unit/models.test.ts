import { readdirSync, readFileSync } from 'node:fs';

const models = readdirSync('test/model').filter(name => name.endsWith('.pml'));
const steps = models.flatMap(model =>
  [...readFileSync(`test/model/${model}`, 'utf8').matchAll(/([\w/]+\.ts)#(\w+)/g)].map(
    ([, file, name]) => [model, file!, name!] as const
  )
);

test.each(steps)('a step of %s stands for a function of the engine: %s, %s', (_model, file, name) => {
  const declared = new RegExp(`^ *(export )?(async )?(function )?#?${name}(<.*>)?\\(`, 'm');
  expect(readFileSync(`src/${file}`, 'utf8')).toMatch(declared);
});

test('every model names the functions that it stands for', () => {
  expect([...new Set(steps.map(([model]) => model))].sort()).toEqual(models.sort());
});
