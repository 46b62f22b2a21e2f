import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/**
 * Scripts of this repository as JavaScript, for processes that start by the hundred: plain Node starts several times
 * faster than one that compiles. Type imports alone may lead out of `sources`.
 * @param sources - files, and folders without what is below them
 */
export async function compile(sources: readonly string[]): Promise<{ directory: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'anypod-compiled-'));
  const files = await Promise.all(
    sources.map(async source => {
      if (source.endsWith('.ts')) return [source];
      return (await readdir(source)).filter(name => name.endsWith('.ts')).map(name => join(source, name));
    })
  );
  for (const file of files.flat()) {
    const target = join(directory, file.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    const compilerOptions = {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true
    };
    await writeFile(target, ts.transpileModule(await readFile(file, 'utf8'), { compilerOptions }).outputText);
  }
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n');
  return { directory, remove: () => rm(directory, { recursive: true }) };
}
