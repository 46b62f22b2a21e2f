import { type BrowserPage, openPage } from '../support/clients/browser.js';
import { childrenOf, type Demo, endDemos, isRunning, startDemo } from '../support/demo.js';
import { until } from '../support/until.js';

/** What a reader of the page sees. */
interface Seen {
  clients: { name: string; session: string; answered: number }[];
  pods: { name: string; state: string; used: boolean }[];
  lost: number;
  repeated: number;
  killed: number;
  pace: string;
  lines: string[];
}

const LOOK = `(() => {
  const text = (root, selector) => root.querySelector(selector).textContent;
  const all = selector => [...document.querySelectorAll(selector)];
  const number = id => Number(document.getElementById(id).textContent);
  return {
    clients: all('.client').map(card => ({
      name: text(card, 'b'), session: text(card, '.session'), answered: parseInt(text(card, '.count'))
    })),
    pods: all('.pod').map(card => ({
      name: text(card, 'b'), state: text(card, '.state'), used: !text(card, '.row').includes('not used')
    })),
    lost: number('lost'),
    repeated: number('repeated'),
    killed: number('killed'),
    pace: text(document, '[data-do=pace][aria-pressed=true]'),
    lines: all('#lines span').map(line => line.textContent)
  };
})()`;

/** Pods start under tsx here, several at a time. */
const PATIENCE_MS = 60_000;

let page: BrowserPage;
let demo: Demo;

const look = () => page.evaluate<Seen>(LOOK);
const press = (action: string, name?: string) =>
  page.press(`[data-do=${action}]${name === undefined ? '' : `[data-name="${name}"]`}`);
const sees = (what: string, check: (seen: Seen) => boolean) =>
  until(
    what,
    async () => {
      const seen = await look();
      return check(seen) && seen;
    },
    PATIENCE_MS
  );
const sessionsOf = ({ clients }: Seen) => Object.fromEntries(clients.map(({ name, session }) => [name, session]));
const podsOf = ({ pods }: Seen) => pods.filter(({ state }) => state === 'serving').map(({ name }) => name);

/** Waits until each client got more answers. @returns what is seen then */
async function goesOn(what: string, answers = 3): Promise<Seen> {
  const before = (await look()).clients;
  return sees(`each client gets ${answers} answers after: ${what}`, ({ clients }) =>
    clients.every(({ answered }, index) => answered >= before[index]!.answered + answers)
  );
}

async function open(...args: string[]): Promise<string> {
  demo = startDemo('--web', ...args);
  await demo.prints('Ctrl-C');
  const url = /http:\S+/.exec(demo.output())![0];
  page = await openPage(url);
  return url;
}

afterEach(async () => {
  await page?.close();
  await endDemos();
});

test.each([
  ['processes', ''],
  ['servers in one process', '--in-process']
])(
  'the page: every button is pressed, and every session still answers, with pods that are %s',
  async (_, mode) => {
    await open(...(mode === '' ? [] : [mode]));
    await sees(
      'three clients are answered',
      ({ clients }) => clients.length === 3 && clients.every(c => c.answered > 0)
    );
    await press('pace', 'fast');
    const { pace, ...first } = await goesOn('the calls are fast');
    expect([pace, podsOf({ ...first, pace })]).toEqual(['Fast', ['pod-1', 'pod-2', 'pod-3']]);
    const sessions = sessionsOf({ ...first, pace });
    expect(new Set(Object.values(sessions)).size).toBe(3);

    await press('ask', 'Ada');
    await sees('a tool got the answer of Ada', ({ lines }) =>
      lines.some(line => /^pod-\d asked Ada\. The answer arrived at pod-\d\. The tool got: green$/.test(line))
    );
    await press('news', 'Ben');
    await sees('news reached Ben', ({ lines }) =>
      lines.some(line => /^news of pod-\d reached Ben on the stream at pod-\d$/.test(line))
    );

    await press('pause', 'pod-1');
    await sees('the balancer stops using it', ({ pods }) => !pods[0]!.used && pods[0]!.state === 'stands still');
    await goesOn('a pod stands still');
    await press('resume', 'pod-1');
    await sees('the balancer uses it again', ({ pods }) => pods[0]!.used && pods[0]!.state === 'serving');

    await press('kill', 'pod-2');
    await sees('the pod disappears', ({ pods, killed }) => killed === 1 && pods.length === 2);
    await goesOn('a pod was killed');
    await press('add');
    await sees('another pod serves', seen => podsOf(seen).join() === 'pod-1,pod-3,pod-4');
    await press('roll');
    await sees('every pod is another one', seen => podsOf(seen).join() === 'pod-5,pod-6,pod-7');
    await goesOn('every pod was replaced');

    await press('kill', 'pod-5');
    await press('kill', 'pod-6');
    await press('kill', 'pod-7');
    await sees('no pod is left', ({ pods, killed }) => killed === 4 && pods.length === 0);
    await press('add');
    const last = await goesOn('all pods were killed, and one was added');
    expect([podsOf(last), sessionsOf(last), last.lost]).toEqual([['pod-8'], sessions, 0]);

    await press('delete', 'Cleo');
    const { Cleo, ...others } = sessions;
    const after = await sees('Cleo has another session', seen => !['no session', Cleo].includes(sessionsOf(seen).Cleo));
    expect(sessionsOf(await goesOn('a session was deleted'))).toMatchObject(others);
    expect(after.lines).toContain('Cleo got 404 Session not found for the deleted session, and opens a new session');
    await press('pace', 'off');
    const { lost } = await sees('the calls pause', seen => seen.pace === 'Off');
    expect(lost).toBe(0);
  },
  240_000
);

test('Ctrl-C ends the page with exit code 0, and leaves no process behind', async () => {
  await open();
  const started = childrenOf(demo.pid);
  expect(started.length).toBeGreaterThanOrEqual(4);
  process.kill(demo.pid, 'SIGINT');
  expect(await demo.exited).toBe(0);
  expect(started.filter(isRunning)).toEqual([]);
  await page.evaluate<boolean>(`new Promise(resolve => {
    const look = () => document.getElementById('gone').hidden ? setTimeout(look, 20) : resolve(true);
    look();
  })`);
});

test('the stock SDK on the page loses sessions', async () => {
  await open('--stock', '--in-process');
  await sees(
    'sessions are lost, or no client connects',
    ({ lost, lines, clients }) => lost > 0 || (clients.every(({ answered }) => answered === 0) && lines.length > 0)
  );
});

test('the page takes nothing from pages of other sites, and nothing that is no button', async () => {
  const url = await open('--in-process');
  const { origin } = new URL(url);
  const send = async (headers: Record<string, string>, body: string) => {
    const response = await fetch(`${url}do`, { method: 'POST', headers, body });
    return response.status;
  };
  const kill = JSON.stringify({ do: 'kill', name: 'pod-1' });
  expect(await send({ origin: 'https://example.com' }, kill)).toBe(403);
  expect(await send({}, kill)).toBe(403);
  expect(await send({ origin }, JSON.stringify({ do: 'kill', name: 'pod-77' }))).toBe(409);
  expect(await send({ origin }, JSON.stringify({ do: '__proto__', name: {} }))).toBe(409);
  expect((await look()).killed).toBe(0);
  expect(await send({ origin }, kill)).toBe(204);
  await sees('one pod is killed', ({ killed }) => killed === 1);
});
