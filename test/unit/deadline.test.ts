import { stat } from 'node:fs/promises';
import { withDeadline } from '../../src/deadline.js';

const late = () => new Error('late');

test('what does not settle in time is rejected, and what fails in time fails as it did', async () => {
  await expect(withDeadline(() => new Promise(() => {}), 10, late)).rejects.toThrow('late');
  await expect(withDeadline(() => Promise.reject(new Error('down')), 10, late)).rejects.toThrow('down');
});

test('what came while the process stood still came in time', async () => {
  // From here timers come next, and only then what is to be read.
  await stat('.');
  const stated = withDeadline(() => stat('.'), 20, late);
  const end = performance.now() + 100;
  while (performance.now() < end);
  expect((await stated).isDirectory()).toBe(true);
});

test('what gives no promise has settled, as for `await`', async () => {
  expect(await withDeadline((() => 'now') as unknown as () => Promise<string>, 10, late)).toBe('now');
});

test('what goes forward is not late, however long it takes altogether', async () => {
  const steps = async (restart: () => void) => {
    for (let step = 0; step < 5; step++) {
      await new Promise(resolve => setTimeout(resolve, 20));
      restart();
    }
    return 'done';
  };
  expect(await withDeadline(steps, 60, late)).toBe('done');
});
