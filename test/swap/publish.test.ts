import { execFile } from 'node:child_process';
import { cp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import MarkdownIt from 'markdown-it';
import { listen } from '../support/servers/listen.js';
import { stagePackage } from './registry.js';

const run = promisify(execFile);

interface Manifest {
  readonly version: string;
  readonly homepage: string;
  readonly scripts: object;
}

/** What npm sends to a registry. */
interface Sent {
  readonly versions: Record<string, Manifest & { readme: string }>;
  readonly _attachments: Record<string, { data: string }>;
}

const repository = { type: 'git', url: 'git+https://github.com/somebody/anypod.git' };
const bugs = { url: 'https://github.com/somebody/anypod/issues' };
let registry: Awaited<ReturnType<typeof listen>>;
let sent: Sent[] = [];
/** The first package as a checkout, and the second. */
const folders: Record<'mcp-sdk-anypod' | 'mcp-server-anypod', string> = {
  'mcp-sdk-anypod': '',
  'mcp-server-anypod': resolve('dist-server')
};

beforeAll(async () => {
  registry = await listen((req, res) => {
    if (req.method !== 'PUT') return void res.writeHead(404).end('{}');
    void req.toArray().then(chunks => {
      sent.push(JSON.parse(Buffer.concat(chunks as Buffer[]).toString()) as Sent);
      res.writeHead(201).end('{}');
    });
  });
  const folder = await stagePackage();
  folders['mcp-sdk-anypod'] = folder;
  for (const path of ['README.md', 'src/mirror']) await cp(path, join(folder, path), { recursive: true });
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  await change(folder, { scripts: { ...(await manifestIn(folder)).scripts, build: 'exit' } });
});

afterAll(async () => {
  await registry.stop();
  await rm(folders['mcp-sdk-anypod'], { recursive: true });
});

beforeEach(() => {
  sent = [];
});

test.each(['mcp-sdk-anypod', 'mcp-server-anypod'] as const)(
  '%s is not published before package.json says where the repository is',
  async name => {
    await expect(publish(folders[name])).rejects.toMatchObject({
      stderr: expect.stringContaining(
        'Set "repository" and "bugs" in package.json, and build, before the first publish.\n'
      ) as string
    });
    expect(sent).toEqual([]);
  }
);

describe('without a repository', () => {
  test('every link of the packed README leads to a file of the package', async () => {
    const folder = folders['mcp-sdk-anypod'];
    const own = await readFile('README.md', 'utf8');
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: folder });
    const [{ filename }] = Object.values(JSON.parse(stdout) as Record<string, { filename: string }>) as [
      { filename: string }
    ];
    const { version, homepage } = await manifestIn(folder);
    const inside = await tarballFiles(join(folder, filename));
    const packed = await tarballFile(join(folder, filename), 'README.md');
    const files = linksOf(packed).flatMap(link => link.split(`https://unpkg.com/mcp-sdk-anypod@${version}/`)[1] ?? []);
    expect(files.length).toBeGreaterThan(40);
    expect(files.filter(file => !inside.includes(file))).toEqual([]);
    expect(linksOf(packed).filter(link => !/^(https:|#)/.test(link))).toEqual([]);
    expect(linksOf(packed).length).toBe(linksOf(own).length);
    expect(homepage).toBe('https://www.npmjs.com/package/mcp-sdk-anypod');
    expect(await readFile(join(folder, 'README.md'), 'utf8')).toBe(own);
  });

  test('every link of the second packed README leads to the first package', async () => {
    const readme = await readFile('dist-server/README.md', 'utf8');
    const { version } = await manifestIn('.');
    const { stdout } = await run('npm', ['pack', '--json', '--dry-run', '--ignore-scripts']);
    const [{ files }] = Object.values(JSON.parse(stdout) as Record<string, { files: { path: string }[] }>) as [
      { files: { path: string }[] }
    ];
    const inside = files.map(({ path }) => path);
    const targets = linksOf(readme).flatMap(
      link => link.split(`https://unpkg.com/mcp-sdk-anypod@${version}/`)[1] ?? []
    );
    expect(targets).toContain('src/handler/README.md');
    expect(targets.filter(target => !inside.includes(target))).toEqual([]);
    expect(linksOf(readme).filter(link => !/^(https:|#)/.test(link))).toEqual([]);
  });
});

test('with a repository, every link leads to it, in the tarball and on the page of the registry', async () => {
  const folder = folders['mcp-sdk-anypod'];
  await change(folder, { repository, bugs });
  const own = await readFile(join(folder, 'README.md'), 'utf8');
  await publish(folder);
  const [{ versions, _attachments: attachments }] = sent as [Sent];
  const [manifest] = Object.values(versions) as [Manifest & { readme: string }];
  expect(manifest).toMatchObject({ repository, bugs });
  const [[file, { data }]] = Object.entries(attachments) as [[string, { data: string }]];
  const tarball = join(folder, file.replaceAll('/', '-'));
  await writeFile(tarball, Buffer.from(data, 'base64'));
  expect(await tarballFile(tarball, 'README.md')).toBe(manifest.readme);
  const inRepository = linksOf(manifest.readme).map(link =>
    link.replace('https://github.com/somebody/anypod/blob/HEAD/', '')
  );
  expect(inRepository).toEqual(linksOf(own));
  // As it was before.
  expect(await readFile(join(folder, 'README.md'), 'utf8')).toBe(own);
});

function publish(folder: string) {
  const auth = `--//${new URL(registry.origin).host}/:_authToken=secret`;
  return run('npm', ['publish', '--registry', registry.origin, auth], { cwd: folder });
}

async function manifestIn(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
}

async function change(folder: string, fields: object): Promise<void> {
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...(await manifestIn(folder)), ...fields }, null, 2));
}

async function tarballFiles(tarball: string): Promise<string[]> {
  const { stdout } = await run('tar', ['-tzf', tarball]);
  return stdout.split('\n').map(path => path.replace(/^package\//, ''));
}

async function tarballFile(tarball: string, path: string): Promise<string> {
  return (await run('tar', ['-xzOf', tarball, `package/${path}`])).stdout;
}

/** Where the links of a document lead, in its order. */
function linksOf(markdown: string): string[] {
  const tokens = new MarkdownIt().parse(markdown, {}).flatMap(({ children }) => children ?? []);
  return tokens.filter(({ type }) => type === 'link_open').map(token => token.attrGet('href')!);
}
