import { UnsupportedRuntimeError } from './errors.js';
import { emitWarning } from './report.js';
import { builtInModule } from './runtime.js';

/** The versions of the SDK with which the tests of this package have passed. package.json requires the last one. */
export const SDK_VERSIONS = ['1.30.1', '1.31.0', '1.32.0', '1.32.1', '1.32.2'];

/**
 * The first version of Node 20, and of the later lines, with `process.getBuiltinModule`. package.json requires them.
 */
export const OLDEST_NODES = ['20.16', '22.3'] as const;
/** A package of this repository, and the version of the SDK that it needs. */
export interface Product {
  readonly name: string;
  readonly sdk: string;
  /** A module of the SDK, as the package imports it, and where it stands in the folder of the SDK. */
  readonly module: string;
  readonly path: RegExp;
  readonly oldest: string;
  /** The first version that the package does not support; undefined if there is none. */
  readonly below?: string;
  /** The versions with which the tests have passed. With any other there is a warning. Undefined: no warning. */
  readonly tested?: readonly string[];
  /** What to do about a wrong version. */
  readonly remedy: string;
}

/** `mcp-sdk-anypod`. Its oldest SDK is the first with the same limits on requests as the package. */
export const SDK_V1: Product = {
  name: 'mcp-sdk-anypod',
  sdk: '@modelcontextprotocol/sdk',
  module: 'mcp-sdk-upstream/types.js',
  path: /dist[\\/]cjs[\\/]types\.js$/,
  oldest: SDK_VERSIONS[0] as string,
  tested: SDK_VERSIONS,
  remedy: 'remove the override for mcp-sdk-upstream'
};

type Files = { readFileSync: (path: string, encoding: 'utf8') => string };
type Modules = { createRequire: (path: string) => { resolve: (name: string) => string } };

/** Receives a warning. */
export type OnWarning = (code: string, message: string) => void;

/** `mcp-server-anypod`. */
export const SDK_V2: Product = {
  name: 'mcp-server-anypod',
  sdk: '@modelcontextprotocol/server',
  module: '@modelcontextprotocol/server',
  path: /dist[\\/]index\.cjs$/,
  oldest: '2.4.0',
  below: '3',
  remedy: 'install a version that it supports'
};

const checked = new Set<string>();

/**
 * Checks the runtime and the installation once, when the first transport or handler is made. Problems become process
 * warnings that name the remedy. Costs two small reads. Without files (bundles, other runtimes) nothing is checked.
 * @param onWarning - instead of a process warning
 * @throws UnsupportedRuntimeError on a Node or an SDK that is too old
 */
export function checkInstallation(product: Product, onWarning: OnWarning = emitWarning): void {
  if (checked.has(product.name) || typeof process === 'undefined') return;
  checkNode(product, process.versions?.node);
  const folder = packageFolder(new Error().stack);
  const sdk = folder === undefined ? undefined : sdkVersion(product, folder);
  if (sdk !== undefined) checkSdk(product, sdk);
  checked.add(product.name);
  if (folder === undefined || !isFirstFrom(product, folder, onWarning) || sdk === undefined) return;
  warnOfOtherSdk(product, sdk, onWarning);
}

function checkNode({ name }: Product, version: string | undefined): void {
  if (version === undefined) return;
  const [oldest, oldestOfNewer] = OLDEST_NODES;
  if (isAtLeast(version, version.startsWith('20.') ? oldest : oldestOfNewer)) return;
  throw new UnsupportedRuntimeError(
    `${name} needs Node ${oldest}, or ${oldestOfNewer} or later, and runs on ${version}: install a newer Node`
  );
}

function checkSdk({ name, sdk, oldest, below, remedy }: Product, version: string): void {
  if (isAtLeast(version, oldest) && (below === undefined || !isAtLeast(version, below))) return;
  const range = below === undefined ? `${oldest} or later` : `${oldest} or later, before ${below},`;
  throw new UnsupportedRuntimeError(`${name} needs ${sdk} ${range} and runs on ${version}: ${remedy}`);
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
function isFirstFrom({ name, sdk }: Product, folder: string, warn: OnWarning): boolean {
  const loadedFrom = Symbol.for(`${name}.loadedFrom`);
  const registry = globalThis as unknown as Record<symbol, string[] | undefined>;
  const folders = (registry[loadedFrom] ??= []);
  if (folders.includes(folder)) return false;
  folders.push(folder);
  if (folders.length === 2) {
    warn(
      'ANYPOD_TWO_COPIES',
      `Two copies of ${name} are loaded, and their classes differ: ${folders.join(' and ')}. ` +
        `Install only one, with an override for ${name} or ${sdk}`
    );
  }
  return true;
}

function warnOfOtherSdk({ name, sdk, tested, remedy }: Product, version: string, warn: OnWarning): void {
  if (!tested || tested.includes(version)) return;
  warn(
    'ANYPOD_SDK_VERSION',
    `${name} runs on version ${version} of ${sdk} and has been tested with ${tested.join(', ')}: ${remedy}`
  );
}

const installed = new Map<string, { version: string; sdkVersion: string }>();

/** The installed versions of a package of this repository and of its SDK; '' if no file has them. */
export function installedVersions(product: Product): { version: string; sdkVersion: string } {
  let known = installed.get(product.name);
  if (!known) {
    const folder = typeof process === 'undefined' ? undefined : packageFolder(new Error().stack);
    const version = (folder !== undefined && ownVersion(folder)) || '';
    known = { version, sdkVersion: (folder !== undefined && sdkVersion(product, folder)) || '' };
    installed.set(product.name, known);
  }
  return known;
}

function ownVersion(folder: string): string | undefined {
  try {
    const { readFileSync } = builtInModule<Files>('node:fs')!;
    return (JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as { version?: string }).version;
  } catch {
    // There are no files.
    return undefined;
  }
}

function sdkVersion({ module: name, path: inFolder }: Product, folder: string): string | undefined {
  try {
    const { createRequire } = builtInModule<Modules>('node:module')!;
    const { readFileSync } = builtInModule<Files>('node:fs')!;
    const module = createRequire(`${folder}/package.json`).resolve(name);
    const path = module.replace(inFolder, 'package.json');
    return (JSON.parse(readFileSync(path, 'utf8')) as { version?: string }).version;
  } catch {
    // There are no files.
    return undefined;
  }
}
