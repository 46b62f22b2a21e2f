import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Explores every state of a model. @returns the number of errors */
async function errorsOf(model: string, defines: string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'anypod-model-'));
  try {
    await copyFile(`test/model/${model}.pml`, join(folder, 'model.pml'));
    const options = { cwd: folder, maxBuffer: 1e8 };
    await run('spin', [...defines.map(define => `-D${define}`), '-a', 'model.pml'], options);
    await run('gcc', ['-w', '-O2', '-DSAFETY', '-DCOLLAPSE', '-o', 'pan', 'pan.c'], options);
    const { stdout } = await run('./pan', ['-m200000'], options);
    const [, errors] = /errors: (\d+)/.exec(stdout)!;
    expect(stdout).not.toContain('max search depth too small');
    return Number(errors);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test.each([
  ['sessions', []],
  ['getStream', []],
  ['resume', []],
  ['resume', ['SLOW=1']],
  ['resume', ['DEATH=0', 'WATCH=0']],
  ['resume', ['SECOND_READ=0']]
])('no order of events breaks the protocol of %s.pml with %j', async (model, defines) => {
  expect(await errorsOf(model, defines)).toBe(0);
});

test.each([
  ['sessions', ['SECOND_READ=0']],
  ['sessions', ['TOLD=0']],
  ['sessions', ['PATCH=0']],
  ['getStream', ['ORDER=0']],
  ['getStream', ['ECHO=0']],
  ['getStream', ['HOLD=0']],
  ['resume', ['WATCH=0']],
  ['resume', ['SLOW=1', 'FIRST_ANSWER=0']]
])('the protocol of %s.pml breaks with %j', async (model, defines) => {
  expect(await errorsOf(model, defines)).toBe(1);
});
