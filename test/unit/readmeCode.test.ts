import { join } from 'node:path';
import ts from 'typescript';
import { changes, typeScriptBlocks } from '../support/readme.js';

const root = process.cwd();

test('every TypeScript block of the README compiles, and what a change that it shows begins with and leads to', () => {
  expect(typeScriptBlocks.length).toBeGreaterThan(5);
  expect(changes.length).toBeGreaterThan(0);
  const blocks = typeScriptBlocks.map(({ code }) => code);
  expect(problems([...blocks, ...changes.flatMap(({ before, after }) => [before, after])])).toEqual([]);
});

function problems(blocks: string[]): string[] {
  const files = new Map(blocks.map((code, index) => [join(root, `readme-block-${index + 1}.mts`), code]));
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
