/**
 * Takes the pictures of README.md: `npx tsx test/support/screenshots.ts`. The page and the terminal are real: a demo with
 * processes, and the program on a Redis with two pods that serve.
 */
import { writeFile } from 'node:fs/promises';
import { openPage } from './clients/browser.js';
import { openTerminal } from './clients/tmux.js';
import { cliScript } from './cli.js';
import { endDemos, startDemo } from './demo.js';
import { startRedisServer } from './servers/redisServer.js';
import { until } from './until.js';

const PAGE = 'examples/images/demo-page.webp';
const TERMINAL = 'examples/images/terminal.webp';
const COLUMNS = 132;
const PATIENCE_MS = 60_000;

const redis = await startRedisServer();
const demo = startDemo('--web', '--redis', redis.url);
try {
  await demo.prints('Ctrl-C');
  await takePage(/http:\S+/.exec(demo.output())![0]);
  await takeTerminal();
} finally {
  await endDemos();
  await redis.stop();
}

/** The page while a pod stands still and a tool asks. */
async function takePage(url: string): Promise<void> {
  const page = await openPage(url, 1240, 596);
  const count = (selector: string) => page.evaluate<number>(`document.querySelectorAll('${selector}').length`);
  await until('every session is on several pods', async () => (await count('.pod .chip')) >= 8, PATIENCE_MS);
  await page.press('[data-do=add]');
  await until('four pods serve', async () => (await count('.pod.serving')) === 4, PATIENCE_MS);
  await page.press('[data-do=kill][data-name=pod-2]');
  await until('it is shown as killed', async () => (await count('.pod.killed')) === 1, PATIENCE_MS);
  await page.press('[data-do=news][data-name=Ben]');
  await until('requests are on their way', async () => (await count('.dot circle')) >= 3, PATIENCE_MS);
  await writeFile(PAGE, await page.screenshot({ quality: 72 }));
  await page.close();
}

/** What an operator sees of the same pods. */
async function takeTerminal(): Promise<void> {
  const terminal = await openTerminal(
    `npx() { shift; node ${await cliScript()} "$@" --prefix mcp-demo:; }; export REDIS_URL=${redis.url} FORCE_COLOR=1; clear`,
    COLUMNS,
    60
  );
  for (const command of ['doctor', 'pods', 'sessions list']) {
    const before = (await terminal.screen()).match(/^\$/gm)?.length ?? 0;
    await terminal.press(`npx mcp-sdk-anypod ${command}`, 'Enter');
    await until(
      `${command} has ended`,
      async () => /\n\$\n*$/.test(await terminal.screen()) && (await terminal.screen()).match(/^\$/gm)!.length > before,
      PATIENCE_MS
    );
  }
  const text = (await terminal.screen(true)).trimEnd().replace(/\n\$$/, '');
  await terminal.close();
  const page = await openPage(`data:text/html,${encodeURIComponent(asHtml(text))}`, 1090, 700);
  const height = await page.evaluate<number>('document.body.getBoundingClientRect().height');
  await writeFile(TERMINAL, await page.screenshot({ height, quality: 60 }));
  await page.close();
}

/** The colours of the terminal, of which the program uses eight. */
function asHtml(text: string): string {
  const colours: Record<string, string> = {
    1: 'font-weight:bold',
    2: 'color:#8b98a8',
    31: 'color:#ff7b72',
    32: 'color:#4ccb8f',
    33: 'color:#e3b341',
    34: 'color:#79abff',
    35: 'color:#d2a8ff',
    36: 'color:#4fd0bb'
  };
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const style = 'margin:0;padding:18px 22px;background:#0d1218;color:#e8eef5';
  // eslint-disable-next-line no-control-regex
  const spans = escaped.replace(/\u001b\[([\d;]*)m/g, (_, codes: string) => {
    const styles = codes.split(';').flatMap(code => colours[code] ?? []);
    return `</span><span style="${styles.join(';')}">`;
  });
  return `<!doctype html><meta charset="utf-8"><body style="${style}"><pre style="margin:0;font:13px/1.45 'DejaVu Sans Mono',monospace"><span>${spans}</span></pre>`;
}
