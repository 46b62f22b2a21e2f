import { packageFolder } from '../../src/installation.js';

describe('the folder of the package is the same for its ESM and its CommonJS build', () => {
  test.each([
    ['/app/node_modules/anypod', 'file:///app/node_modules/anypod/dist/esm/', '/app/node_modules/anypod/dist/cjs/'],
    ['/a/C# 100%25/ü', 'file:///a/C%23%20100%2525/%C3%BC/dist/esm/', '/a/C# 100%25/ü/dist/cjs/'],
    ['C:/a/anypod', 'file:///C:/a/anypod/dist/esm/', 'C:\\a\\anypod\\dist\\cjs\\']
  ])('%s', (folder, esm, cjs) => {
    expect(packageFolder(`Error\n    at check (${esm}installation.js:1:18)\n    at file:///b.js:1:1`)).toBe(folder);
    expect(packageFolder(`Error\n    at check (${cjs}installation.js:1:18)\n    at /b.js:1:1`)).toBe(folder);
  });
});

test('a bundle and a runtime without stack traces have no package folder', () => {
  expect(packageFolder('Error\n    at file:///app/bundle.js:1:18')).toBeUndefined();
  expect(packageFolder(undefined)).toBeUndefined();
});
