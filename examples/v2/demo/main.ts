/** `npm run demo`: the command `mcp-sdk-anypod demo`. With `--v2`: the demo of `mcp-server-anypod`. */
if (process.argv.includes('--v2')) {
  const { play } = await import('./bothEras.js');
  process.exitCode = (await play()) ? 0 : 1;
} else {
  process.argv.splice(2, 0, 'demo');
  await import('../../../src/cli/main.js');
}
