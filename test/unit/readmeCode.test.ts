import { join } from 'node:path';
import ts from 'typescript';
import { changes, typeScriptBlocks } from '../support/readme.js';

const root = process.cwd();

test('every TypeScript block of every document compiles, and so does the code before and after every diff', () => {
  expect(new Set(typeScriptBlocks.map(({ document }) => document)).size).toBeGreaterThan(5);
  expect(changes.length).toBeGreaterThan(0);
  const diffs = changes.flatMap(({ document, before, after }) => [
    { document, code: before },
    { document, code: after }
  ]);
  expect(problems([...typeScriptBlocks, ...diffs])).toEqual([]);
});

function problems(blocks: { document: string; code: string }[]): string[] {
  const files = new Map(
    blocks.map(({ document, code }, index) => [
      join(root, `${document.replaceAll('/', '-')}-block-${index + 1}.mts`),
      code
    ])
  );
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), path => ts.sys.readFile(path)) as {
    config: { compilerOptions: { paths: Record<string, string[]> } };
  };
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, noUnusedLocals: false, verbatimModuleSyntax: false },
    root
  );
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: path => files.has(path) || disk.fileExists(path),
    readFile: path => files.get(path) ?? disk.readFile(path),
    getSourceFile: (path, ...more) => {
      const code = files.get(path);
      return code === undefined ? disk.getSourceFile(path, ...more) : ts.createSourceFile(path, code, more[0]);
    }
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files.keys()].flatMap(path => {
    const source = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ messageText }) => `${path.slice(root.length + 1)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    );
  });
}
