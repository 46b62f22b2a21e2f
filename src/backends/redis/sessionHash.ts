import { SessionRecordUnreadableError } from '../../errors.js';
import type { McpSessionState, SessionData, SessionOwner, SessionPatch } from '../../ports/sessionStore.js';

/*
 * A session's record as the fields of a hash. Redis keeps a small hash in one block of memory as long as no value is
 * longer than 64 bytes; one longer value makes it four times as large. So what every client's handshake has stands in
 * fields of its own, nothing is written that follows from the rest, and longer texts are cut into pieces.
 *
 *   t    createdAt                              a    lastActivity, where it is another
 *   i    '1' where initialized                  p    the negotiated protocol version, where q is another or absent
 *   l    log level                              u    principal
 *   w    the server's name
 *   s:*  one for each subscribed URI            m    JSON: all other metadata, where it is not as expected
 *   q, c, n   of the handshake: the requested protocol version, and the JSON of capabilities and clientInfo
 *   f    the form of the record; absent is this one
 *
 * The application's state stands there as well: see sessionScripts.ts.
 */

/** A text goes on under its field's name and 1, 2, … */
const PIECE_BYTES = 64;
/** Longer texts are one value: then the hash is large anyway. */
const MAX_PIECES = 32;
/** What changes is in few pieces, so that those of a longer text before it can be named. */
const MAX_CHANGING_PIECES = 4;

const SUBSCRIPTION = 's:';
/** What `m` is where it is absent. */
const OF_HANDSHAKE = '{"mcp":{"initialize":{}}}';
const OF_MCP = '{"mcp":{}}';
/** JSON carries any text; what stands in a field as it is has to survive UTF-8. */
const PLAIN = /^[\x20-\x7e]*$/;

type Tree = Record<string, unknown>;

/** Field, value, field, value, … */
export function toFields({ createdAt, lastActivity, initialized, metadata }: SessionData): string[] {
  const fields = ['t', String(createdAt)];
  if (lastActivity !== createdAt) fields.push('a', String(lastActivity));
  if (initialized) fields.push('i', '1');
  if (!metadata) return fields;
  if (!isTree(metadata.mcp)) return [...fields, ...piecesOf('m', JSON.stringify(metadata))];

  const mcp: Tree = { ...metadata.mcp };
  const named = takeSubscriptions(mcp);
  const principal = takePlain(mcp, 'principal');
  const logLevel = takePlain(mcp, 'logLevel');
  if (principal !== undefined) named.push(...piecesOf('u', principal));
  if (logLevel !== undefined) named.push(...changingPiecesOf('l', logLevel));
  const serverName = takePlain(mcp, 'serverName');
  if (serverName !== undefined) named.push(...piecesOf('w', serverName));
  const handshake = takeHandshake(mcp);
  const protocolVersion = takePlain(mcp, 'protocolVersion', handshake?.requested);
  if (protocolVersion !== undefined) named.push(...changingPiecesOf('p', protocolVersion));
  if (handshake) named.push(...handshake.fields);

  const rest = JSON.stringify({ ...metadata, mcp });
  const expected = handshake ? OF_HANDSHAKE : named.length > 0 ? OF_MCP : undefined;
  if (rest !== expected) named.push(...piecesOf('m', rest));
  return [...fields, ...named];
}

/** What a patch changes: fields and values to set, and fields to remove. */
export function toChanges(patch: SessionPatch): { set: string[]; remove: string[] } {
  const set: string[] = [];
  const remove: string[] = [];
  const change = (name: string, text: string | undefined): void => {
    if (text === undefined) return;
    const pieces = changingPiecesOf(name, text);
    set.push(...pieces);
    for (let i = pieces.length / 2; i < MAX_CHANGING_PIECES; i++) remove.push(nameOf(name, i));
  };
  if (patch.initialized) set.push('i', '1');
  change('p', patch.protocolVersion);
  change('l', patch.logLevel);
  // Never changed, so nothing of a longer one before it is left.
  if (patch.serverName !== undefined) set.push(...piecesOf('w', patch.serverName));
  if (patch.subscribe !== undefined) set.push(SUBSCRIPTION + patch.subscribe, '');
  if (patch.unsubscribe !== undefined) remove.push(SUBSCRIPTION + patch.unsubscribe);
  return { set, remove };
}

/** @returns undefined where the hash is gone. @throws SessionRecordUnreadableError */
export function fromFields(
  sessionId: string,
  revision: string,
  fields: Record<string, string>
): SessionData | undefined {
  if (fields.f !== undefined) throw writtenByNewer();
  if (fields.t === undefined) return undefined;
  const data: SessionData = {
    sessionId,
    initialized: fields.i === '1',
    createdAt: Number(fields.t),
    lastActivity: Number(fields.a ?? fields.t),
    revision: Number(revision)
  };
  const metadata = metadataOf(fields);
  if (metadata) data.metadata = metadata;
  return data;
}

/** What of a record the indexes are made of: of the fields of `u`, `m` and `s:`. Nothing if it cannot be read. */
export function indexedIn(fields: Record<string, string>): Pick<SessionData, 'metadata'> {
  try {
    return { metadata: metadataOf(fields) };
  } catch {
    return {};
  }
}

/** Of the fields of `u`, `m` and `f`. @throws SessionRecordUnreadableError */
export function ownerIn(fields: Record<string, string>): SessionOwner {
  if (fields.f !== undefined) throw writtenByNewer();
  const { principal, namespace } = metadataOf(fields)?.mcp ?? {};
  return { principal, namespace };
}

function metadataOf(fields: Record<string, string>): SessionData['metadata'] {
  const requested = joined(fields, 'q');
  const protocolVersion = joined(fields, 'p') ?? requested;
  const logLevel = joined(fields, 'l');
  const principal = joined(fields, 'u');
  const serverName = joined(fields, 'w');
  const subscriptions = Object.keys(fields).filter(field => field.startsWith(SUBSCRIPTION));
  const isOfMcp = [protocolVersion, logLevel, principal, serverName, subscriptions[0]].some(
    field => field !== undefined
  );
  const rest = joined(fields, 'm') ?? (requested === undefined ? (isOfMcp ? OF_MCP : undefined) : OF_HANDSHAKE);
  if (rest === undefined) return undefined;
  const metadata = parseTree(rest);
  if (!isOfMcp) return metadata;

  const mcp = { ...(metadata.mcp as object) } as McpSessionState;
  if (requested !== undefined) {
    const capabilities = parseTree(joined(fields, 'c'));
    const clientInfo = parseTree(joined(fields, 'n'));
    const handshake = { protocolVersion: requested, capabilities, clientInfo, ...mcp.initialize };
    mcp.initialize = handshake as unknown as NonNullable<McpSessionState['initialize']>;
  }
  if (protocolVersion !== undefined) mcp.protocolVersion = protocolVersion;
  if (principal !== undefined) mcp.principal = principal;
  if (serverName !== undefined) mcp.serverName = serverName;
  if (logLevel !== undefined) mcp.logLevel = logLevel as NonNullable<McpSessionState['logLevel']>;
  if (subscriptions.length > 0) mcp.subscriptions = subscriptions.map(field => field.slice(SUBSCRIPTION.length));
  return { ...metadata, mcp };
}

function writtenByNewer(): SessionRecordUnreadableError {
  return new SessionRecordUnreadableError('A newer version of this package has written it');
}

/** Takes out what every handshake has; one of another shape, or without a version agreed on, stays as it is. */
function takeHandshake(mcp: Tree): { requested: string; fields: string[] } | undefined {
  if (!isTree(mcp.initialize) || !isPlain(mcp.protocolVersion)) return undefined;
  const { protocolVersion: requested, capabilities, clientInfo, ...rest } = mcp.initialize;
  if (!isPlain(requested) || !isTree(capabilities) || !isTree(clientInfo)) return undefined;
  mcp.initialize = rest;
  const texts = [
    ['q', requested],
    ['c', JSON.stringify(capabilities)],
    ['n', JSON.stringify(clientInfo)]
  ] as const;
  return { requested, fields: texts.flatMap(([name, text]) => piecesOf(name, text)) };
}

function takeSubscriptions(mcp: Tree): string[] {
  const { subscriptions } = mcp;
  if (!Array.isArray(subscriptions) || subscriptions.length === 0) return [];
  if (!subscriptions.every(uri => typeof uri === 'string')) return [];
  delete mcp.subscriptions;
  return subscriptions.flatMap(uri => [SUBSCRIPTION + uri, '']);
}

/** Takes a text out; undefined where there is none, it cannot stand as it is, or it is what is known without it. */
function takePlain(tree: Tree, field: string, known?: string): string | undefined {
  const value = tree[field];
  if (!isPlain(value)) return undefined;
  delete tree[field];
  return value === known ? undefined : value;
}

function changingPiecesOf(name: string, text: string): string[] {
  return piecesOf(name, text, MAX_CHANGING_PIECES);
}

/** The fields and values that a text takes. */
function piecesOf(name: string, text: string, most = MAX_PIECES): string[] {
  const pieces = text.length > most * PIECE_BYTES ? [text] : cut(text);
  return (pieces.length > most ? [text] : pieces).flatMap((piece, index) => [nameOf(name, index), piece]);
}

function nameOf(name: string, index: number): string {
  return index === 0 ? name : name + String(index);
}

function joined(fields: Record<string, string>, name: string): string | undefined {
  let text = fields[name];
  if (text === undefined) return undefined;
  for (let i = 1, piece; (piece = fields[nameOf(name, i)]) !== undefined; i++) text += piece;
  return text;
}

/** Between characters, because each piece is a text of its own to the client library. */
function cut(text: string): string[] {
  const pieces: string[] = [];
  let piece = '';
  let bytes = 0;
  for (const character of text) {
    const size = sizeOf(character.codePointAt(0) as number);
    if (bytes + size > PIECE_BYTES) {
      pieces.push(piece);
      piece = '';
      bytes = 0;
    }
    piece += character;
    bytes += size;
  }
  return [...pieces, piece];
}

/** In UTF-8. */
function sizeOf(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}

function isPlain(value: unknown): value is string {
  return typeof value === 'string' && PLAIN.test(value);
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseTree(text: string | undefined): Tree {
  let tree: unknown;
  try {
    tree = JSON.parse(text ?? '');
  } catch (error) {
    throw new SessionRecordUnreadableError('The record in Redis is no JSON', { cause: error });
  }
  if (isTree(tree)) return tree;
  throw new SessionRecordUnreadableError('The record in Redis is no JSON object');
}
