/**
 * The README as it is packed: the registry's page resolves no relative link, so these become absolute. The repository
 * keeps its own. It is not part of a package. npm runs it (see the scripts of package.json):
 *
 *   node src/mirror/packedReadme.mjs check     before a publish: package.json must say where the repository is
 *   node src/mirror/packedReadme.mjs write     before the package is packed
 *   node src/mirror/packedReadme.mjs restore   afterwards
 */
import hostedGitInfo from 'hosted-git-info';
import { existsSync, copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const README = 'README.md';
/** The repository's own, meanwhile. npm would pack it if its name began with README. */
const KEPT = '.README.md';

/** The page of a package on npm's registry. */
export const registryPage = name => `https://www.npmjs.com/package/${name}`;

/** Where a document is that is in neither package's tarball. */
const ELSEWHERE = { 'src/v2/README.md': registryPage('mcp-server-anypod') };

/**
 * A document whose relative links lead to the repository if the manifest names one, else to the files of the package.
 * @param path - the document's, from the root of the repository
 * @param manifest - package.json of `mcp-sdk-anypod`, which contains all documents but those of {@link ELSEWHERE}
 */
export function withAbsoluteLinks(text, path, manifest) {
  const link = (whole, target) => {
    if (/^([a-z]+:|#)/.test(target)) return whole;
    const [file, anchor] = target.split('#');
    return `](${address(posix.join(posix.dirname(path), file), anchor, manifest)})`;
  };
  // Every second part is a block of code.
  const parts = text.split(/^(```.*?^```$)/ms);
  return parts.map((part, index) => (index % 2 ? part : part.replace(/\]\(([^)\s]+)\)/g, link))).join('');
}

function address(file, anchor, { name, version, repository }) {
  const host = repository && hostedGitInfo.fromUrl(repository.url ?? repository);
  if (host) return host.browseFile(file) + (anchor ? `#${anchor}` : '');
  return ELSEWHERE[file] ?? `https://unpkg.com/${name}@${version}/${file}`;
}

function main(verb) {
  if (verb === 'restore') {
    // A publish packs first, and then reads the README again for the registry.
    const isEarly = process.env.npm_command === 'publish' && process.env.npm_lifecycle_event === 'postpack';
    if (existsSync(KEPT) && !isEarly) renameSync(KEPT, README);
    return;
  }
  const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
  if (verb === 'check') {
    if (manifest.repository && manifest.bugs) return;
    process.stderr.write('Set "repository" and "bugs" in package.json, and build, before the first publish.\n');
    process.exitCode = 1;
    return;
  }
  // It is there after a publish that failed.
  if (existsSync(KEPT)) renameSync(KEPT, README);
  const packed = withAbsoluteLinks(readFileSync(README, 'utf8'), README, manifest);
  copyFileSync(README, KEPT);
  writeFileSync(README, packed);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv[2]);
