/**
 * Runs the oracle suite on other versions of the SDK than the one that is installed, each as what the fork is built on
 * and as what it is compared with: `npm run test:sdk-versions -- [version]...`. Without arguments, on all that
 * src/installation.ts names.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [, list] = /SDK_VERSIONS = (\[[^\]]*\])/.exec(readFileSync('src/installation.ts', 'utf8'));
const asked = process.argv.slice(2);
const versions = asked.length > 0 ? asked : JSON.parse(list.replaceAll("'", '"'));

const failed = versions.filter(version => !passes(version));
console.log(versions.map(version => `${version} ${failed.includes(version) ? 'FAILED' : 'passed'}`).join('\n'));
process.exitCode = failed.length === 0 ? 0 : 1;

function passes(version) {
  const folder = mkdtempSync(join(tmpdir(), 'anypod-sdk-'));
  try {
    const dependencies = { 'mcp-sdk-upstream': `npm:@modelcontextprotocol/sdk@${version}` };
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
    const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--silent'];
    if (!runs('npm', install, { cwd: folder })) return false;
    const env = { ...process.env, ANYPOD_SDK: join(folder, 'node_modules/mcp-sdk-upstream') };
    return runs('npx', ['jest', '--selectProjects', 'oracle'], { env });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runs(command, args, options) {
  return spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options }).status === 0;
}
