import { UnsupportedRuntimeError } from './errors.js';

/** The versions of the SDK with which the tests of this package have passed. package.json requires the last one. */
export const SDK_VERSIONS = ['1.30.1', '1.31.0', '1.32.0', '1.32.1', '1.32.2'];

/**
 * The first version of Node 20, and of the later lines, with `process.getBuiltinModule`. package.json requires them.
 */
export const OLDEST_NODES = ['20.16', '22.3'] as const;
/** The first version with the same limits on requests as this package. */
const OLDEST_SDK = SDK_VERSIONS[0] as string;
/** On `globalThis`: the folders that this package has been loaded from. */
const LOADED_FROM = Symbol.for('mcp-sdk-anypod.loadedFrom');

type Files = { readFileSync: (path: string, encoding: 'utf8') => string };
type Modules = { createRequire: (path: string) => { resolve: (name: string) => string } };

let checked = false;

/**
 * Checks the runtime and the installation once, when the first transport or handler is made. Problems become process
 * warnings that name the remedy. Costs two small reads. Without files (bundles, other runtimes) nothing is checked.
 * @throws UnsupportedRuntimeError on a Node or an SDK that is too old
 */
export function checkInstallation(): void {
  if (checked || typeof process === 'undefined') return;
  checkNode(process.versions?.node);
  const folder = packageFolder(new Error().stack);
  const sdk = folder === undefined ? undefined : sdkVersion(folder);
  if (sdk !== undefined) checkSdk(sdk);
  checked = true;
  if (folder === undefined || !isFirstFrom(folder) || sdk === undefined) return;
  warnOfOtherSdk(sdk);
}

function checkNode(version: string | undefined): void {
  if (version === undefined) return;
  const [oldest, oldestOfNewer] = OLDEST_NODES;
  if (isAtLeast(version, version.startsWith('20.') ? oldest : oldestOfNewer)) return;
  throw new UnsupportedRuntimeError(
    `mcp-sdk-anypod needs Node ${oldest}, or ${oldestOfNewer} or later, and runs on ${version}: install a newer Node`
  );
}

function checkSdk(version: string): void {
  if (isAtLeast(version, OLDEST_SDK)) return;
  throw new UnsupportedRuntimeError(
    `mcp-sdk-anypod needs @modelcontextprotocol/sdk ${OLDEST_SDK} or later and runs on ${version}: ` +
      'remove the override for mcp-sdk-upstream'
  );
}

function isAtLeast(version: string, oldest: string): boolean {
  return version.localeCompare(oldest, 'en', { numeric: true }) >= 0;
}

/**
 * The package's folder, with `/` on Windows too. Only a stack names a module's own file both in ESM and in CommonJS.
 */
export function packageFolder(stack: string | undefined): string | undefined {
  const match = /(file:\/\/)?((?:\/|[A-Za-z]:[\\/])[^\n]*)[\\/](?:dist[\\/](?:esm|cjs)|src)[\\/]installation\./.exec(
    stack ?? ''
  );
  if (match?.[2] === undefined) return undefined;
  const isUrl = match[1] !== undefined;
  // decodeURI would not decode %23 and similar sequences.
  const path = isUrl ? decodeURIComponent(match[2]).replace(/^\/(?=[A-Za-z]:)/, '') : match[2];
  return /^[A-Za-z]:/.test(path) ? path.replaceAll('\\', '/') : path;
}

/** Warns of a second copy. The ESM and the CommonJS build of one installation count as one copy, as with the SDK. */
function isFirstFrom(folder: string): boolean {
  const registry = globalThis as { [LOADED_FROM]?: string[] };
  const folders = (registry[LOADED_FROM] ??= []);
  if (folders.includes(folder)) return false;
  folders.push(folder);
  if (folders.length === 2) {
    warn(
      'ANYPOD_TWO_COPIES',
      `Two copies of mcp-sdk-anypod are loaded, and their classes differ: ${folders.join(' and ')}. ` +
        'Install only one, with an override for mcp-sdk-anypod or @modelcontextprotocol/sdk'
    );
  }
  return true;
}

function warnOfOtherSdk(version: string): void {
  if (SDK_VERSIONS.includes(version)) return;
  warn(
    'ANYPOD_SDK_VERSION',
    `mcp-sdk-anypod runs on version ${version} of @modelcontextprotocol/sdk and has been tested with ` +
      `${SDK_VERSIONS.join(', ')}: remove the override for mcp-sdk-upstream`
  );
}

function sdkVersion(folder: string): string | undefined {
  // Some other runtimes do not have it. An import of node: would fail in them.
  const { getBuiltinModule } = process as { getBuiltinModule?: (this: void, name: string) => unknown };
  if (getBuiltinModule === undefined) return undefined;
  const { createRequire } = getBuiltinModule('node:module') as Modules;
  const { readFileSync } = getBuiltinModule('node:fs') as Files;
  try {
    const module = createRequire(`${folder}/package.json`).resolve('mcp-sdk-upstream/types.js');
    const path = module.replace(/dist[\\/]cjs[\\/]types\.js$/, 'package.json');
    return (JSON.parse(readFileSync(path, 'utf8')) as { version?: string }).version;
  } catch {
    // There are no files.
    return undefined;
  }
}

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'AnypodWarning', code });
}
