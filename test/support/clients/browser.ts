import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { until } from '../until.js';

const LOAD_TIMEOUT_MS = 30_000;

interface Answer {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

export interface Screenshot {
  /** The part of the page to show, from its top left. @default the window */
  width?: number;
  height?: number;
  /** @default 'webp' */
  format?: 'webp' | 'png';
  /** Of a webp. @default 70 */
  quality?: number;
}

/** A page in a headless Chromium, which is driven over the browser's own protocol. */
export interface BrowserPage {
  /** Runs an expression in the page. A promise is waited for. */
  evaluate<T>(expression: string): Promise<T>;
  /** Presses the mouse button in the middle of the element. @throws if there is none, or it is disabled or covered */
  press(selector: string): Promise<void>;
  setColorScheme(scheme: 'light' | 'dark'): Promise<void>;
  screenshot(options?: Screenshot): Promise<Buffer>;
  close(): Promise<void>;
}

/** Opens an address in a window of this size. */
export async function openPage(url: string, width = 1280, height = 860): Promise<BrowserPage> {
  const profile = await mkdtemp(join(tmpdir(), 'anypod-page-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars'];
  const own = ['--remote-debugging-pipe', `--user-data-dir=${profile}`, `--window-size=${width},${height}`];
  // A process group of its own, because the browser consists of several processes.
  const browser = spawn('chromium', [...flags, ...own, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    detached: true
  });
  const ended = once(browser, 'exit');
  const send = connect(browser.stdio[3] as Writable, browser.stdio[4] as Readable);
  const { targetInfos } = (await send('Target.getTargets')) as { targetInfos: { type: string; targetId: string }[] };
  const { targetId } = targetInfos.find(({ type }) => type === 'page')!;
  const { sessionId } = (await send('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
  const page = (method: string, params: object = {}) => send(method, params, sessionId);
  await page('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  await page('Page.enable');
  await page('Page.navigate', { url });

  async function evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await page('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true
    })) as { result: { value: T }; exceptionDetails?: { text: string; exception?: { description?: string } } };
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  // The navigation may end what runs in the empty page.
  const isLoaded = `location.href !== 'about:blank' && document.readyState === 'complete'`;
  await until('the page is loaded', () => evaluate<boolean>(isLoaded).catch(() => false), LOAD_TIMEOUT_MS);
  return {
    evaluate,
    async press(selector) {
      const place = await evaluate<{ x: number; y: number } | string>(`(() => {
        const button = document.querySelector(${JSON.stringify(selector)});
        if (!button) return 'there is none';
        if (button.disabled) return 'it is disabled';
        button.scrollIntoView({ block: 'nearest' });
        const { left, top, width, height } = button.getBoundingClientRect();
        const place = { x: left + width / 2, y: top + height / 2 };
        return button.contains(document.elementFromPoint(place.x, place.y)) ? place : 'something covers it';
      })()`);
      if (typeof place === 'string') throw new Error(`${selector}: ${place}`);
      for (const type of ['mousePressed', 'mouseReleased']) {
        await page('Input.dispatchMouseEvent', { type, ...place, button: 'left', clickCount: 1 });
      }
    },
    async setColorScheme(value) {
      await page('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
    },
    async screenshot({ width: wide = width, height: high = height, format = 'webp', quality = 70 } = {}) {
      const clip = { x: 0, y: 0, width: wide, height: high, scale: 1 };
      const { data } = await page('Page.captureScreenshot', { format, ...(format === 'webp' && { quality }), clip });
      return Buffer.from(data as string, 'base64');
    },
    async close() {
      process.kill(-browser.pid!, 'SIGKILL');
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 10 });
    }
  };
}

/** The browser's protocol over its pipe: JSON texts, each followed by a zero byte. */
function connect(writable: Writable, readable: Readable) {
  const waiting = new Map<number, { resolve: (result: Record<string, unknown>) => void; reject: (e: Error) => void }>();
  let ids = 0;
  let text = '';
  readable.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (text + chunk).split('\0');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const { id, result, error } = JSON.parse(part) as Answer;
      const call = id === undefined ? undefined : waiting.get(id);
      if (!call) continue;
      waiting.delete(id!);
      if (error) call.reject(new Error(error.message));
      else call.resolve(result ?? {});
    }
  });
  const gone = (): void => {
    for (const { reject } of waiting.values()) reject(new Error('the browser has ended'));
  };
  readable.on('close', gone);
  writable.on('error', gone);
  return (method: string, params: object = {}, sessionId?: string) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const id = ++ids;
      waiting.set(id, { resolve, reject });
      writable.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
}
