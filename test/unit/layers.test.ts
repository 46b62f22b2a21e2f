import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import ts from 'typescript';

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts'));

/** What the file imports from src, types included, whether it is loaded at once or later. */
function importsOf(file: string): string[] {
  return ts
    .preProcessFile(readFileSync(posix.join('src', file), 'utf8'))
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => posix.join(posix.dirname(file), fileName).replace(/\.js$/, '.ts'));
}

/** The circles that a walk along the imports closes, each as the files on it. */
function circles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    if (path.includes(file) || done.has(file)) return;
    for (const imported of imports.get(file) ?? []) visit(imported, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

test('every folder of src has an entry in src/layers.json, and every entry has a folder', () => {
  const folders = new Set(files.map(file => posix.dirname(file)));
  const layers = JSON.parse(readFileSync('src/layers.json', 'utf8')) as Record<string, unknown>;
  expect(Object.keys(layers).sort()).toEqual([...folders].sort());
});

test('a circle of imports is found', () => {
  const imports = new Map([
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['b', 'd']],
    ['d', []]
  ]);
  expect(circles(imports)).toEqual(['b -> c -> b']);
});

test('no file of src imports itself by way of others', () => {
  expect(circles(new Map(files.map(file => [file, importsOf(file)])))).toEqual([]);
});
