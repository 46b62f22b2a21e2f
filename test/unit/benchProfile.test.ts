import { costsOf, type CpuProfile } from '../bench/profile.js';

const node = (
  functionName: string,
  url: string,
  hitCount: number,
  lineNumber = url === '' ? -1 : 0
): CpuProfile['nodes'][number] => ({
  callFrame: { functionName, url, lineNumber },
  hitCount
});

const ROOT = 'file:///home/me/anypod';

test('a profile of the bench is read into shares of the time that was not idle, the largest first', () => {
  const nodes = [
    node('(root)', '', 5),
    node('(idle)', '', 1000),
    node('write', `${ROOT}/node_modules/ioredis/built/Redis.js`, 10),
    node('(program)', '', 30),
    // The same function, called from somewhere else.
    node('write', `${ROOT}/node_modules/ioredis/built/Redis.js`, 40),
    node('', `${ROOT}/dist/engine/post.js`, 20, 6)
  ];
  expect(costsOf('pod', { nodes }).largest).toEqual([
    { function: 'write', file: 'ioredis/built/Redis.js', percent: 50 },
    { function: '(program)', file: '', percent: 30 },
    { function: '(line 7)', file: 'dist/engine/post.js', percent: 20 }
  ]);
});

test.each([
  ["Node's HTTP and system", 'parserOnIncoming', 'node:_http_server'],
  ["Node's HTTP and system", 'writev', ''],
  ['garbage collection', '(garbage collector)', ''],
  ['SDK and zod', 'parse', `${ROOT}/node_modules/zod/v4/core/parse.js`],
  ['SDK and zod', 'parse', `${ROOT}/node_modules/mcp-sdk-upstream/node_modules/zod/v4/core/parse.js`],
  ['SDK and zod', 'request', `${ROOT}/node_modules/mcp-sdk-upstream/dist/esm/shared/protocol.js`],
  ['SDK and zod', 'request', `${ROOT}/node_modules/@modelcontextprotocol/server/dist/index.mjs`],
  ['Redis client', 'parse', `${ROOT}/node_modules/redis-parser/lib/parser.js`],
  ['this package', 'serve', `${ROOT}/dist/engine/engine.js`],
  ['this package', 'serve', `${ROOT}/dist-server/engine/engine.js`],
  ['other code', 'export', `${ROOT}/node_modules/@opentelemetry/sdk-metrics/build/index.js`],
  ['other code', 'makeServer', `${ROOT}/.bench/pod.js`]
])('a profile of the bench counts for "%s" the function %s of "%s"', (group, name, url) => {
  const { groups } = costsOf('pod', { nodes: [node(name, url, 3)] });
  expect(Object.entries(groups).filter(([, percent]) => percent > 0)).toEqual([[group, 100]]);
});

test('a profile of the bench counts functions that were compiled at run time for the SDK and zod', () => {
  const { largest, groups } = costsOf('pod', { nodes: [node('', '', 3, 2)] });
  expect(largest).toEqual([{ function: '(line 3)', file: 'made by new Function', percent: 100 }]);
  expect(groups['SDK and zod']).toBe(100);
});

test('a profile of the bench shows ten costs, and sums up all', () => {
  const nodes = Array.from({ length: 20 }, (_, index) => node(`f${index}`, `${ROOT}/dist/a.js`, 20 - index));
  const { largest, groups } = costsOf('pod', { nodes });
  expect(largest.map(({ function: name }) => name)).toEqual(Array.from({ length: 10 }, (_, index) => `f${index}`));
  expect(groups['this package']).toBeCloseTo(100);
});
