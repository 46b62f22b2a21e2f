import { join } from 'node:path';
import ts from 'typescript';

/** What an application can import from this package, and the file of the build that declares it. */
export const ENTRIES = {
  'mcp-sdk-anypod': 'index.d.ts',
  'mcp-sdk-anypod/server': 'sdk/server/index.d.ts',
  'mcp-sdk-anypod/server/streamableHttp.js': 'sdk/server/streamableHttp.d.ts',
  'mcp-sdk-anypod/server/webStandardStreamableHttp.js': 'sdk/server/webStandardStreamableHttp.d.ts',
  'mcp-sdk-anypod/session-store': 'applicationData/index.d.ts',
  'mcp-sdk-anypod/client-sessions': 'clientStorage/index.d.ts',
  'mcp-sdk-anypod/tmcp': 'tmcp/index.d.ts',
  'mcp-sdk-anypod/otel': 'otel/index.d.ts',
  'mcp-sdk-anypod/testing': 'testing/index.d.ts'
};

/** The same for version 2 of the SDK. */
export const SERVER_ENTRIES = {
  'mcp-server-anypod': 'v2/index.d.ts',
  'mcp-server-anypod/client-sessions': 'v2/clientSessions.d.ts',
  'mcp-server-anypod/testing': 'testing/common.d.ts'
};

/**
 * The names that the build exports, a line each: the exports of every entry point, and once for all entry points the
 * public members of those classes and interfaces that are declared in this package. An optional member ends with `?`.
 * @param dist - the folder of the build: `dist/esm`
 */
export function exportedNames(dist: string, entries: Readonly<Record<string, string>>): string[] {
  const files = Object.values(entries).map(file => join(dist, file));
  const program = ts.createProgram(files, {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    noEmit: true,
    skipLibCheck: true
  });
  const checker = program.getTypeChecker();
  const lines = new Set<string>();
  for (const [entry, file] of Object.entries(entries)) {
    const source = program.getSourceFile(join(dist, file));
    const module = source && checker.getSymbolAtLocation(source);
    if (!module) throw new Error(`${join(dist, file)} is missing: run npm run build first`);
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const kind = symbol.flags & ts.SymbolFlags.Value ? 'value' : 'type';
      lines.add(`${entry}: ${kind} ${exported.name}`);
      if (isOwn(symbol)) for (const member of members(checker, symbol)) lines.add(`${exported.name}.${member}`);
    }
  }
  return [...lines].sort();
}

function isOwn(symbol: ts.Symbol): boolean {
  return symbol.declarations?.some(each => !each.getSourceFile().fileName.includes('/node_modules/')) ?? false;
}

function members(checker: ts.TypeChecker, symbol: ts.Symbol): string[] {
  if (!(symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface | ts.SymbolFlags.TypeLiteral))) return [];
  return checker
    .getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol))
    .filter(member => isOwn(member) && !/^(__)?#/.test(member.name) && !isHidden(member))
    .map(member => `${member.name}${member.flags & ts.SymbolFlags.Optional ? '?' : ''}`);
}

function isHidden(member: ts.Symbol): boolean {
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  return member.declarations?.some(each => ts.getCombinedModifierFlags(each) & hidden) ?? false;
}
