import * as crypto from 'node:crypto';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Content, VersionedFile } from '../../src/backends/file/versionedFile.js';

let directory: string;
let file: VersionedFile;
/** Under another name, so that this process does not make it wait for its turn: as another process would have it. */
let elsewhere: VersionedFile;

beforeEach(async () => {
  directory = await fs.mkdtemp(join(tmpdir(), 'anypod-'));
  [file, elsewhere] = [open(directory), open(`${directory}/.`)];
  await add(file);
});
afterEach(() => fs.rm(directory, { recursive: true }));

function open(path: string): VersionedFile {
  const options = {
    durable: false,
    isValid: (content: Content) => typeof content.sum === 'number',
    onSetAside: () => {}
  };
  return new VersionedFile({ fs, crypto }, path, 'test', options);
}

const sum = (content: Content | undefined) => Number(content?.sum ?? 0);
const add = (to: VersionedFile) =>
  to.update(current => ({ next: { sum: sum(current?.content) + 1 }, result: undefined }));

/** Looks, stands still while others write so many times, and writes. */
function addLate(others: number, repeatable: boolean): Promise<number> {
  let looks = 0;
  return file.update(
    async current => {
      if (++looks === 1) for (let i = 0; i < others; i++) await add(elsewhere);
      return { next: { sum: sum(current?.content) + 1 }, result: looks };
    },
    { repeatable }
  );
}

test.each([1, 2, 3, 10])(
  'a writer that was paused while others wrote %i times starts again from their version',
  async others => {
    expect(await addLate(others, false)).toBe(2);
    expect((await file.read())?.content).toEqual({ sum: 1 + others + 1 });
    expect(await fs.readdir(directory)).toHaveLength(1);
  }
);

test('a writer paused for so long that its write is uncertain reports that, unless repeating it is harmless', async () => {
  await expect(addLate(40, false)).rejects.toMatchObject({ code: 'ANYPOD_STORE_UNAVAILABLE' });
  expect((await file.read())?.content).toEqual({ sum: 41 });
  expect(await addLate(40, true)).toBe(2);
  expect((await file.read())?.content).toEqual({ sum: 82 });
});

test('files left by a killed writer change nothing, and the next write removes them', async () => {
  for (let i = 0; i < 4; i++) await add(file);
  const whole = await fs.readFile(`${directory}/test.5.json`, 'utf8');
  await fs.writeFile(`${directory}/test.3.json`, whole.replace('5', '0'));
  await fs.writeFile(`${directory}/test.6.json.0123.tmp`, '{');
  expect((await file.read())?.content).toEqual({ sum: 5 });
  await add(file);
  expect((await fs.readdir(directory)).sort()).toEqual(['test.6.json', 'test.6.json.0123.tmp']);
});
