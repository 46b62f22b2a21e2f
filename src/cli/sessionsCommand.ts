import { BACKEND_HELP, BACKEND_OPTIONS, type Command, COMMON_HELP, type Invocation } from './command.js';
import { endSessions } from './sessionsEnd.js';
import { type OpenedStorage, openStorage } from './openStorage.js';
import { read, type Selector, selectorOf, sessionsIn } from './sessionList.js';
import { SESSION_TITLES, sessionJson, sessionRow, shownId } from './sessionView.js';
import { watchSessions } from './sessionsWatch.js';
import { storageOptions } from './storage.js';
import { harmless, table } from './terminal.js';
import { CommandError, EXIT, UsageError } from './usage.js';

const HELP = `Lists, shows and ends the sessions in the store, through its index: never with KEYS or SCAN.

Usage:
  npx mcp-sdk-anypod sessions list [options]
  npx mcp-sdk-anypod sessions show ID [--state] [options]
  npx mcp-sdk-anypod sessions end ID… | --principal P | --client N | --older D | --idle D  [--yes] [options]
  npx mcp-sdk-anypod sessions watch [options]

An id is a secret, so it is cut to 8 characters. ID is a whole id, or its first 6 characters or more if no other
session begins with them.

Which sessions:
  --principal TEXT   of this principal, as the pods' principalOf names it: by default '["issuer","subject"]'
  --client NAME      of clients with this name
  --namespace NAME   of this namespace
  --older DURATION   opened at least this long ago: 30s, 10m, 2h, 1d
  --idle DURATION    without a request for at least this long

Options:
  --limit N          list: stop after N sessions, 0 for all (default 50)
  --full             print whole ids
  --state            show: print the application's state, which may be confidential
  --yes              end: do not ask
  --interval D       watch: how often to look (default 2s)
  --ttl SECONDS      the ttlSeconds of the pods, from which IDLE is computed (default 3600)
${COMMON_HELP}

${BACKEND_HELP}

Examples:
  npx mcp-sdk-anypod sessions list --client claude-ai --older 1d
  npx mcp-sdk-anypod sessions show 3f2b9c41
  npx mcp-sdk-anypod sessions end --principal '["https://id.example.com","user-17"]' --yes
  npx mcp-sdk-anypod sessions list --limit 0 --json | jq '.sessions | length'`;

const DEFAULT_LIMIT = 50;
/** Fewer characters of an id would fit too many sessions. */
const MIN_PREFIX = 6;

const options: Command['options'] = {
  ...BACKEND_OPTIONS,
  principal: { type: 'string' },
  client: { type: 'string' },
  namespace: { type: 'string' },
  older: { type: 'string' },
  idle: { type: 'string' },
  limit: { type: 'string' },
  interval: { type: 'string' },
  ttl: { type: 'string' },
  full: { type: 'boolean' },
  state: { type: 'boolean' },
  yes: { type: 'boolean' }
};

const ACTIONS = { list, show, end, watch } as const;

export const sessionsCommand: Command = {
  help: HELP,
  options,
  async run(invocation) {
    const [name = '', ...ids] = invocation.positionals;
    if (!Object.hasOwn(ACTIONS, name)) {
      throw new UsageError(`sessions takes list, show, end or watch: see npx mcp-sdk-anypod sessions --help`);
    }
    const selector = selectorOf(invocation.values);
    const check = CHECKS[name as keyof typeof ACTIONS];
    check(ids, selector);
    limitOf(invocation);
    const storage = await openStorage(storageOptions(invocation.values, invocation.streams.env));
    try {
      return await ACTIONS[name as keyof typeof ACTIONS](storage, selector, ids, invocation);
    } finally {
      await storage.close();
    }
  }
};

/** Refuse a wrong command line before anything is opened. */
const CHECKS: Readonly<Record<keyof typeof ACTIONS, (ids: readonly string[], selector: Selector) => void>> = {
  list: ids => none(ids, 'list'),
  watch: ids => none(ids, 'watch'),
  show(ids) {
    if (ids.length !== 1) throw new UsageError('sessions show takes one id');
    checkLength(ids);
  },
  end(ids, selector) {
    const selects = Object.values(selector).some(value => value !== undefined);
    if (ids.length > 0 === selects) {
      throw new UsageError(
        'sessions end takes ids, or one or more of --principal, --client, --namespace, --older, --idle'
      );
    }
    checkLength(ids);
  }
};

function none(ids: readonly string[], name: string): void {
  if (ids.length > 0) throw new UsageError(`sessions ${name} takes no ids: use show ID, or --principal and others`);
}

function checkLength(ids: readonly string[]): void {
  if (ids.some(id => id.replace('…', '').length < MIN_PREFIX)) {
    throw new UsageError(`an id has at least its first ${MIN_PREFIX} characters`);
  }
}

/** @throws UsageError */
function limitOf({ values }: Invocation): number {
  const limit = Number(values.limit ?? DEFAULT_LIMIT);
  if (Number.isInteger(limit) && limit >= 0) return limit || Infinity;
  throw new UsageError('--limit takes a whole number, 0 for all');
}

async function list(storage: OpenedStorage, selector: Selector, _ids: string[], invocation: Invocation) {
  const limit = limitOf(invocation);
  const full = invocation.values.full === true;
  const page = [];
  let more = false;
  for await (const listed of sessionsIn(storage.store, selector)) {
    if ((more = page.length === limit) || invocation.signal.aborted) break;
    page.push(listed);
  }
  const { print, json, streams } = invocation;
  if (json) print(JSON.stringify({ sessions: page.map(listed => sessionJson(listed, full)), more }, undefined, 2));
  else if (page.length === 0) streams.stderr.write('No sessions found.\n');
  else
    for (const line of table(
      SESSION_TITLES,
      page.map(listed => sessionRow(listed, full))
    ))
      print(line);
  if (more && !json) streams.stderr.write(`There are more than ${limit}: --limit 0 lists all.\n`);
  return EXIT.ok;
}

async function show(storage: OpenedStorage, _selector: Selector, ids: string[], invocation: Invocation) {
  const { values, print, json } = invocation;
  const id = await resolveId(storage, ids[0] as string, invocation);
  const listed = await read(storage.store, id);
  if (!listed) throw notFound(ids[0] as string);
  const entry = await storage.store.getState?.(id);
  const shown: Record<string, unknown> = {
    ...sessionJson(listed, values.full === true),
    stateBytes: entry?.value === null || entry === undefined || entry === null ? 0 : entry.value.length
  };
  if (values.state === true) shown.state = entry?.value ?? null;
  if (json) print(JSON.stringify(shown, undefined, 2));
  else {
    const fields = Object.entries(shown).filter(([, value]) => value !== undefined);
    const width = Math.max(...fields.map(([name]) => name.length));
    for (const [name, value] of fields) {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      print(`${name.padEnd(width)}   ${harmless(text)}`);
    }
  }
  return EXIT.ok;
}

async function end(storage: OpenedStorage, selector: Selector, given: string[], invocation: Invocation) {
  const ids = new Set<string>();
  for (const id of given) ids.add(await resolveId(storage, id, invocation));
  if (given.length === 0) for await (const { id } of sessionsIn(storage.store, selector)) ids.add(id);
  if (ids.size === 0) throw new CommandError('no session fits: nothing was ended');
  return endSessions(storage, [...ids], given.length === 0, invocation);
}

async function watch(storage: OpenedStorage, selector: Selector, _ids: string[], invocation: Invocation) {
  return watchSessions(storage, selector, invocation);
}

/** After this number of ids, a search says that it takes time. */
const LONG_SEARCH = 20_000;

/** The id that begins with the text. @throws CommandError if there is none, or more than one */
async function resolveId({ store }: OpenedStorage, text: string, { streams }: Invocation): Promise<string> {
  const start = text.replace(/…$/, '');
  if (start === text && (await store.sessionExists(text))) return text;
  const found = new Set<string>();
  let seen = 0;
  let isLong = false;
  for await (const ids of store.listSessionIds?.() ?? []) {
    seen += ids.length;
    if (!isLong && seen >= LONG_SEARCH) {
      isLong = true;
      streams.stderr.write(
        `Looks through all sessions, ${LONG_SEARCH} so far: with the whole id no search is needed.\n`
      );
    }
    for (const id of ids) if (id.startsWith(start)) found.add(id);
    if (found.size > 1)
      throw new CommandError(`more than one session begins with ${shownId(start, true)}: give more of the id`);
  }
  const [id] = found;
  if (id === undefined) throw notFound(text);
  return id;
}

function notFound(text: string): CommandError {
  return new CommandError(
    `no session ${shownId(text.replace(/…$/, ''), false)}: it has ended or expired, or --url or --prefix names another store`
  );
}
