import { stat } from 'node:fs/promises';
import { withDeadline } from '../../src/deadline.js';

const late = () => new Error('late');

test('a promise that settles too late is rejected, and one that fails in time keeps its error', async () => {
  await expect(withDeadline(() => new Promise(() => {}), 10, late)).rejects.toThrow('late');
  await expect(withDeadline(() => Promise.reject(new Error('down')), 10, late)).rejects.toThrow('down');
});

test('a result that arrived while the process was paused is in time', async () => {
  // From here timers come next, and only then what is to be read.
  await stat('.');
  const stated = withDeadline(() => stat('.'), 20, late);
  const end = performance.now() + 100;
  while (performance.now() < end);
  expect((await stated).isDirectory()).toBe(true);
});

test('a value that is not a promise counts as settled, as with `await`', async () => {
  expect(await withDeadline((() => 'now') as unknown as () => Promise<string>, 10, late)).toBe('now');
});

test('an operation that makes progress is not late, however long it takes in total', async () => {
  const steps = async (restart: () => void) => {
    for (let step = 0; step < 5; step++) {
      await new Promise(resolve => setTimeout(resolve, 20));
      restart();
    }
    return 'done';
  };
  expect(await withDeadline(steps, 60, late)).toBe('done');
});
