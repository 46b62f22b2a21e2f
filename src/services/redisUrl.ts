import { InvalidOptionError } from '../errors.js';
import { checkString } from '../validate.js';
import { notEncoded, parseUrl } from './backendUrl.js';

/** The parts of a Redis URL. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  /** For messages: without user and password. */
  readonly shown: string;
  /** The number of the database. */
  readonly db: number;
  readonly access: RedisAccess;
}

/** What every connection needs besides host and port. The names are those of ioredis. */
export interface RedisAccess {
  username?: string;
  password?: string;
  /** 0, 4 or 6: the address family of the host's name. */
  family?: number;
  /** Options of `tls.connect`; absent without TLS. */
  tls?: { servername?: string };
}

const FORM = 'redis://host:port/db or rediss://host:port/db, with user:password@ if needed';
/** The allowed query parameters, as in ioredis. */
const QUERY = /^(db=\d+|family=[046])$/;

/** @throws InvalidOptionError */
export function parseRedisUrl(option: string, text: string): RedisAddress {
  checkString(option, text);
  const url = parseUrl(
    option,
    text,
    FORM,
    ({ protocol, hostname, pathname }) => /^rediss?:$/.test(protocol) && hostname !== '' && /^\/?\d*$/.test(pathname)
  );
  checkQuery(option, url);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = Number(url.port || 6379);
  const access: RedisAccess = {};
  try {
    if (url.username) access.username = decodeURIComponent(url.username);
    if (url.password) access.password = decodeURIComponent(url.password);
  } catch {
    throw notEncoded(option, FORM);
  }
  // The nodes of a Cluster may return addresses. The certificate still belongs to the name, if there is one.
  if (url.protocol === 'rediss:') access.tls = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
  const family = url.searchParams.get('family');
  if (family !== null) access.family = Number(family);
  const db = Number(url.pathname.slice(1) || url.searchParams.get('db'));
  return { host, port, db, shown: `${url.protocol}//${url.hostname}:${port}`, access };
}

/** Refuses other queries: a password with a ? in it, or an option of ioredis, would be ignored silently. */
function checkQuery(option: string, { search, searchParams }: URL): void {
  if (search.includes('@')) throw notEncoded(option, FORM);
  for (const [name, value] of searchParams) {
    if (QUERY.test(`${name}=${value}`)) continue;
    throw new InvalidOptionError(option, `a URL with a query for ${name}`, 'only db=number and family=0, 4 or 6');
  }
}
