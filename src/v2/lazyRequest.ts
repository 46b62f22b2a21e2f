import type { RequestSource, StateAccess } from '../engine/http/requestSource.js';

/** What is built of a request so far. */
interface Parts {
  readonly source: RequestSource;
  headers?: Headers;
  signal?: AbortSignal;
  /** A real request, for the members that few applications use. */
  whole?: Request;
}

const partsOf = new WeakMap<object, Parts>();
const stateOfRequest = new WeakMap<object, StateAccess>();

/**
 * An HTTP request as a web-standard `Request`. On web-standard runtimes it is the request itself. On Node it is an
 * object that builds its members when they are read: most handlers never read them. `new Request(request)` does not
 * accept it; `request.clone()` returns a real one. The body has been read.
 */
export function requestOf(source: RequestSource): Request {
  if (source.webRequest) return source.webRequest;
  const request = Object.create(prototype()) as Request;
  partsOf.set(request, { source });
  return request;
}

/** Links a request to the state of the session that it belongs to. */
export function linkState(request: Request, state: StateAccess): void {
  stateOfRequest.set(request, state);
}

/** The state of the session that a request belongs to; undefined if it did not come through this package. */
export function stateOf(request: object): StateAccess | undefined {
  return stateOfRequest.get(request);
}

/** Members that the whole request answers. */
const OTHERS = [
  'cache',
  'credentials',
  'destination',
  'integrity',
  'keepalive',
  'mode',
  'redirect',
  'referrer',
  'referrerPolicy'
] as const satisfies readonly (keyof Request)[];

const BODY_METHODS = ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text'] as const;

let made: object | undefined;

/** Made on first use: some runtimes without Node do not need it. */
function prototype(): object {
  if (made) return made;
  const getters: Record<string, (this: object) => unknown> = {
    method: part(({ source }) => source.method),
    url: part(({ source }) => source.readUrl().href),
    headers: part(parts => (parts.headers ??= new Headers(parts.source.readHeaders()))),
    signal: part(parts => (parts.signal ??= parts.source.readSignal())),
    body: () => null,
    bodyUsed: part(({ source }) => source.method === 'POST')
  };
  for (const name of OTHERS) getters[name] = part(parts => whole(parts)[name]);
  const members: PropertyDescriptorMap = {
    clone: { value: method(parts => whole(parts).clone()) }
  };
  for (const [name, get] of Object.entries(getters)) members[name] = { get, enumerable: true };
  for (const name of BODY_METHODS) members[name] = { value: method(bodyWasRead) };
  return (made = Object.create(Request.prototype, members) as object);
}

function part(read: (parts: Parts) => unknown): (this: object) => unknown {
  return function (this: object) {
    return read(known(this));
  };
}

function method(call: (parts: Parts) => unknown): (this: object) => unknown {
  return part(call);
}

function known(request: object): Parts {
  const parts = partsOf.get(request);
  if (!parts) throw new TypeError('Illegal invocation');
  return parts;
}

function whole(parts: Parts): Request {
  const { source } = parts;
  return (parts.whole ??= new Request(source.readUrl(), {
    method: source.method,
    headers: source.readHeaders(),
    signal: (parts.signal ??= source.readSignal())
  }));
}

async function bodyWasRead(): Promise<never> {
  throw new TypeError('Body is unusable: Body has already been read');
}
