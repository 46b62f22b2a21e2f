import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const root = process.cwd();
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code as string);

/** What blocks that continue others leave out, by the name that they use of it. */
const LEFT_OUT: Record<string, string> = {
  Pool: `import { Pool } from 'pg';`,
  Redis: `import { Redis } from 'ioredis';`,
  makeServer: `declare const makeServer: () => import('mcp-sdk-anypod/server').McpServer;`,
  clientSessions: `declare const clientSessions: ReturnType<typeof import('mcp-sdk-anypod/server').createClientSessions>;`,
  MySessionStore: `import { InMemorySessionStore as MySessionStore } from 'mcp-sdk-anypod/server';`,
  ...Object.fromEntries(
    [
      'createMcpHandler',
      'migrate',
      'PostgresEventStore',
      'PostgresSessionStore',
      'RedisEventStore',
      'RedisSessionStore'
    ].map(name => [name, `import { ${name} } from 'mcp-sdk-anypod/server';`])
  )
};

function complete(code: string): string {
  const lacking = Object.keys(LEFT_OUT).filter(name => {
    const declared = new RegExp(`^(import .*|const )\\b${name}\\b`, 'm').test(code);
    return !declared && new RegExp(`\\b${name}\\b`).test(code);
  });
  return `${lacking.map(name => LEFT_OUT[name]).join('\n')}\n${code}\nexport {};\n`;
}

test('every TypeScript block of the README compiles', () => {
  expect(blocks.length).toBeGreaterThan(5);
  const files = new Map(blocks.map((code, index) => [join(root, `readme-block-${index + 1}.mts`), complete(code)]));
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
  const problems = [...files.keys()].flatMap(path => {
    const source = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ messageText }) => `${path.slice(root.length + 1)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    );
  });
  expect(problems).toEqual([]);
});
