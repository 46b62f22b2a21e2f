import { readFileSync } from 'node:fs';
import { laws } from '../simulation/laws.js';

test('test/simulation/README.md has a row for every law of the simulation', () => {
  const rows = readFileSync('test/simulation/README.md', 'utf8').match(/^\| `\w+` \|[^|]*\|[^|]*\|$/gm) ?? [];
  const cells = rows.map(row => row.split('|').map(cell => cell.trim())).filter(([, name]) => !name!.includes('.ts'));
  expect(cells.map(([, name, law, holds]) => [name, law, holds])).toEqual(
    Object.entries(laws).map(([name, { law, holds }]) => [`\`${name}\``, law, holds])
  );
});
