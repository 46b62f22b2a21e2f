/**
 * Moves published applications on version 2 of the SDK to sessions on any pod, and shows what clients of 2025-11-25 and 2026-07-28
 * see, on one pod and behind two, before and after.
 *
 *   npm run build && node examples/applications/main.mjs           # the package of this repository
 *   node examples/applications/main.mjs 2.4.200                    # or a published one
 *   node examples/applications/main.mjs --check                    # fails if the table in README.md of this folder says otherwise
 *
 * REDIS_URL, or a `redis-server` on the machine, is needed. Takes about a minute.
 */
import { showApplications } from '../swap/showApplications.mjs';
import { applications } from './applications.mjs';

await showApplications({
  folder: './dist-server',
  readme: new URL('README.md', import.meta.url),
  cellsOf: (anypod, redis) =>
    applications.flatMap(each => [
      cell(each, 'with the SDK', each.before, anypod, redis),
      cell(each, 'with this package', each.after, anypod, redis)
    ])
});

/** An application, run in one of its two ways. All are installed together. */
function cell(application, column, way, anypod, env) {
  const all = Object.assign({}, ...applications.map(({ dependencies }) => dependencies));
  const dependencies = { ...all, 'mcp-server-anypod': anypod, ioredis: '^6.0.0' };
  return { application: { ...application, ...way }, column, env, manifest: { dependencies } };
}
