/**
 * Runs the oracle suite on other versions of the SDK than the one that is installed, each as what the fork is built on
 * and as what it is compared with:
 *
 *   npm run test:sdk-versions                          # what CI runs: fewer generated scripts, each code of the SDK once
 *   npm run test:sdk-versions -- --full [version]...   # everything, on these or on all that src/installation.ts names
 */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const [, list] = /SDK_VERSIONS = (\[[^\]]*\])/.exec(readFileSync('src/installation.ts', 'utf8'));
const args = process.argv.slice(2);
const full = args.includes('--full');
const asked = args.filter(arg => arg !== '--full');
const versions = asked.length > 0 ? asked : JSON.parse(list.replaceAll("'", '"'));

const scratch = mkdtempSync(join(tmpdir(), 'anypod-sdk-'));
try {
  const folders = await Promise.all(versions.map(install));
  // The version that is installed has the suite of its own.
  const done = full ? new Map() : new Map([[codeOf('node_modules/mcp-sdk-upstream'), 'the one that is installed']]);
  const results = versions.map((version, index) => [version, result(version, folders[index], done)]);
  console.log(results.map(([version, text]) => `${version} ${text}`).join('\n'));
  process.exitCode = results.some(([, text]) => text === 'FAILED') ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function install(version) {
  const folder = join(scratch, version);
  mkdirSync(folder);
  const dependencies = { 'mcp-sdk-upstream': `npm:@modelcontextprotocol/sdk@${version}` };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--silent'], { cwd: folder });
  return join(folder, 'node_modules/mcp-sdk-upstream');
}

function result(version, folder, done) {
  const code = codeOf(folder);
  if (!full && done.has(code)) return `has the code of ${done.get(code)}`;
  done.set(code, version);
  console.log(`SDK ${version}`);
  const env = { ...process.env, ANYPOD_SDK: folder, ORACLE_RUNS: process.env.ORACLE_RUNS ?? (full ? '1' : '0.05') };
  // All other tests run beside it.
  const jest = ['jest', '--selectProjects', 'oracle', '--runInBand'];
  const { status } = spawnSync('npx', jest, { stdio: ['ignore', 'inherit', 'inherit'], env });
  return status === 0 ? 'passed' : 'FAILED';
}

/** What two versions with the same modules and the same dependencies have in common. */
function codeOf(folder) {
  const hash = createHash('sha256');
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  hash.update(JSON.stringify(dependencies));
  const modules = readdirSync(join(folder, 'dist/cjs'), { recursive: true }).filter(path => path.endsWith('.js'));
  for (const path of modules.sort()) hash.update(`\0${path}\0`).update(readFileSync(join(folder, 'dist/cjs', path)));
  return hash.digest('hex');
}
