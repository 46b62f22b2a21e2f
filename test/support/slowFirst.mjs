import Sequencer from '@jest/test-sequencer';

/** Takes more than half a minute. */
const SLOW =
  /\/test\/(swap|runtimes|conformance|soak|examples)\/|\/service\/(redis\/(replies|clients|unservedSlots)|cli\/doctorRedis)\./;

/** So that no worker is left alone with a slow file at the end. Jest itself knows how long files take from the second run on. */
export default class SlowFirst extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    const isSlow = ({ path }) => SLOW.test(path);
    return [...sorted.filter(isSlow), ...sorted.filter(test => !isSlow(test))];
  }
}
