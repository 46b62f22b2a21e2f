import { readdirSync, readFileSync } from 'node:fs';
import { commandsOf } from '../../src/cli/doctor/redisRights.js';
import { RedisKeys } from '../../src/backends/redis/keys.js';

test('the doctor tries each command that a Lua script of the package runs', () => {
  const tried = new Set(commandsOf(new RedisKeys('mcp:session:'), 'id').map(([name]) => name));
  const files = readdirSync('src/backends/redis').filter(name => name.endsWith('Scripts.ts'));
  const run = files.flatMap(name => [
    ...readFileSync(`src/backends/redis/${name}`, 'utf8').matchAll(/redis\.p?call\('([A-Z]+)'/g)
  ]);
  // The check of the bus publishes.
  const missing = run.map(([, name]) => name!).filter(name => !tried.has(name) && name !== 'PUBLISH');
  expect([...new Set(missing)]).toEqual([]);
});
