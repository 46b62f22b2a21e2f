/**
 * Swaps the SDK under published applications and shows what a client sees, on one pod and behind two, before and after.
 *
 *   npm run build && node examples/swap/main.mjs                      # the package of this repository
 *   node examples/swap/main.mjs npm:mcp-sdk-anypod@1.32.200           # or a published one
 *   node examples/swap/main.mjs --check                               # fails if the table in README.md of this folder says otherwise
 *
 * REDIS_URL, or a `redis-server` on the machine, is needed for the last row. Takes a minute or two.
 */
import { applications, fewLines } from './applications.mjs';
import { showApplications } from './showApplications.mjs';

const SDK = '@modelcontextprotocol/sdk';

await showApplications({
  folder: '.',
  readme: new URL('README.md', import.meta.url),
  cellsOf: (fork, redis) => [
    ...applications.flatMap(each => [
      cell(each, 'on the SDK', '1.32.2'),
      cell(each, 'on this package, unchanged', fork)
    ]),
    cell(fewLines, 'on this package, with a store', fork, redis)
  ]
});

/** An application with a package in the place of the SDK. All applications on that package are installed together. */
function cell(application, column, sdk, env) {
  const all = Object.assign({}, ...[...applications, fewLines].map(({ dependencies }) => dependencies));
  // The direct dependency and the override must be the same.
  const manifest = { dependencies: { ...all, [SDK]: sdk }, overrides: { [SDK]: sdk } };
  return { application, column, env, manifest };
}
