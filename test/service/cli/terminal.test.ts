import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { cliScript } from '../../support/cli.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { openTerminal, type Terminal } from '../../support/clients/tmux.js';
import { startPodForTest } from '../../support/pods/localPod.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

const redis = useRedis({ enableAutoPipelining: true, socketTimeout: 5000 });

async function open(command: string, columns?: number): Promise<Terminal> {
  const terminal = await openTerminal(command, columns);
  stopAfterTest(() => terminal.close());
  return terminal;
}

const shows = (terminal: Terminal, what: string, pattern: RegExp) =>
  until(what, async () => pattern.exec(await terminal.screen()) ?? undefined, 20_000).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await terminal.screen()}`);
  });

async function twoPods() {
  const sessionStore = new RedisSessionStore({ redis: redis.client });
  const pods = [await startPodForTest({ sessionStore }), await startPodForTest({ sessionStore })];
  const client = await new RawClient().open(pods[0]!.url);
  await client.callTool(pods[1]!.url, 'echo', { text: 'x' });
  return { pods, client };
}

test('top in a terminal: draws the pods with their rates again and again, and q leaves the screen as it was', async () => {
  const { pods, client } = await twoPods();
  const terminal = await open(`node ${await cliScript()} top --url ${redis.server.url}`);
  await shows(terminal, 'both pods', /^2 pods on Redis at .*\(q quits\)\n\d live sessions, /);
  const table = await shows(terminal, 'the table', /\nINSTANCE .* REQ\/S +REC\/S .*\n(.* serving .*\n){2}/);
  expect(table[0]).not.toContain('undefined');
  await until('the rate of the calls', async () => {
    await client.callTool(pods[0]!.url, 'echo', { text: 'x' });
    return / [1-9]\d*(\.\d)? requests\/s/.test(await terminal.screen());
  });
  expect(await terminal.screen(true)).toContain('\u001b[');
  await terminal.press('q');
  const after = await shows(terminal, 'the prompt', /^\$$/m);
  expect(after.input).toContain('top --url');
  expect(after.input).not.toContain('live sessions');
});

test('top in a narrow terminal: no line wraps, and Ctrl-C ends it', async () => {
  await twoPods();
  const terminal = await open(`clear; node ${await cliScript()} top --url ${redis.server.url}`, 60);
  const { input } = await shows(terminal, 'both pods', /^2 pods on Redis[^]*\n(.+\n){2}/);
  expect(input.split('\n').filter(line => line.trim() !== '').length).toBe(5);
  await terminal.press('C-c');
  await shows(terminal, 'the prompt', /^\$$/m);
});

test('demo in a terminal: tells the story in colours, and every claim was observed', async () => {
  const terminal = await open(`clear; npm run -s demo -- --in-process`, 120);
  await shows(terminal, 'the result', /9 of 9 checks passed\./);
  expect(await terminal.screen(true)).toContain('\u001b[32m✓');
});
