import { build, type Plugin } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Below node_modules, so that the scripts find their packages. */
const folder = 'node_modules/.cache/anypod-pods';
const bundles = new Map<string, Promise<string>>();

/**
 * Writes a script of this repository, and what it imports from here, into one JavaScript file. A pod starts two to three
 * times faster from it than under tsx, and a run of all tests starts hundreds of pods.
 * @returns the path of the file; what this process has bundled once it does not bundle again
 */
export function bundle(script: string): Promise<string> {
  const known = bundles.get(script) ?? writeBundle(script);
  bundles.set(script, known);
  return known;
}

/** @param plugins - of esbuild, to change what is bundled */
export async function writeBundle(script: string, plugins: Plugin[] = []): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [script],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    plugins: [...plugins, mirroredModules],
    write: false,
    logLevel: 'silent'
  });
  const { text } = outputFiles[0]!;
  const path = join(folder, `${createHash('sha256').update(text).digest('hex')}.mjs`);
  await mkdir(folder, { recursive: true });
  // Several test files may bundle the same script at the same time.
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, text);
  await rename(draft, path);
  return path;
}

/** The modules of the SDK that the package only passes on, as in the paths of tsconfig.json. */
const mirroredModules: Plugin = {
  name: 'mirrored-modules',
  setup(build) {
    build.onResolve({ filter: /^(mcp-sdk-anypod|@modelcontextprotocol\/sdk)\// }, ({ path }) => {
      if (/^mcp-sdk-anypod\/(otel|testing|server(\/(streamableHttp|webStandardStreamableHttp)\.js)?)$/.test(path))
        return;
      return { path: path.replace(/^(mcp-sdk-anypod|@modelcontextprotocol\/sdk)/, 'mcp-sdk-upstream'), external: true };
    });
  }
};
