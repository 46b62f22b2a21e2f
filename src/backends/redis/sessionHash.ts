import { SessionRecordUnreadableError } from '../../errors.js';
import type { McpSessionState, SessionData, SessionOwner, SessionPatch } from '../../ports/sessionStore.js';

/*
 * A session's record as the fields of a hash. Redis keeps a small hash in one block of memory as long as no value is
 * longer than 64 bytes; one longer value makes it four times as large. So the data of every handshake has separate
 * fields, values that follow from the rest are not written, and longer texts are cut into pieces.
 *
 *   t    createdAt                              a    lastActivity, if not equal to t
 *   i    '1' if initialized                     p    the negotiated protocol version, if q differs or is absent
 *   l    log level                              u    principal
 *   w    the server's name
 *   s:*  one for each subscribed URI            m    JSON: all other metadata, if it is not as expected
 *   q, c, n   of the handshake: the requested protocol version, and the JSON of capabilities and clientInfo
 *   f    the format of the record; absent means this one
 *
 * The hash also holds the application's state: see sessionScripts.ts.
 */

/** The length of a piece. Further pieces are in the fields `<name>1`, `<name>2`, … */
const PIECE_BYTES = 64;
/** A text of more pieces is stored as one value, because the hash is large anyway. */
const MAX_PIECES = 32;
/** A value that changes has few pieces, so that a change can name and remove those of a longer old value. */
const MAX_CHANGING_PIECES = 4;

const SUBSCRIPTION = 's:';
/** The meaning of an absent `m`, with and without a handshake. */
const OF_HANDSHAKE = '{"mcp":{"initialize":{}}}';
const OF_MCP = '{"mcp":{}}';
/** The text that a field may hold without JSON: UTF-8 must not change it. */
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

/** The changes of a patch: fields and values to set, and fields to remove. */
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
  // The server name never changes, so there are no pieces of a longer old value.
  if (patch.serverName !== undefined) set.push(...piecesOf('w', patch.serverName));
  if (patch.subscribe !== undefined) set.push(SUBSCRIPTION + patch.subscribe, '');
  if (patch.unsubscribe !== undefined) remove.push(SUBSCRIPTION + patch.unsubscribe);
  return { set, remove };
}

/** @returns undefined if the hash is missing. @throws SessionRecordUnreadableError */
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

/** The part of a record that the indexes use, read from the fields `u`, `m` and `s:`. Empty if it cannot be read. */
export function indexedIn(fields: Record<string, string>): Pick<SessionData, 'metadata'> {
  try {
    return { metadata: metadataOf(fields) };
  } catch {
    return {};
  }
}

/** The owner, read from the fields `u`, `m` and `f`. @throws SessionRecordUnreadableError */
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

/** Takes out the usual fields of a handshake. With another shape, or without a negotiated version, takes nothing. */
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

/** Takes a text out; undefined if there is none, if a field cannot hold it without JSON, or if it equals `known`. */
function takePlain(tree: Tree, field: string, known?: string): string | undefined {
  const value = tree[field];
  if (!isPlain(value)) return undefined;
  delete tree[field];
  return value === known ? undefined : value;
}

function changingPiecesOf(name: string, text: string): string[] {
  return piecesOf(name, text, MAX_CHANGING_PIECES);
}

/** The fields and values for a text. */
function piecesOf(name: string, text: string, most = MAX_PIECES): string[] {
  const pieces = text.length > most * PIECE_BYTES ? [text] : inPieces(text);
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

/** Cuts between characters, because the client library encodes each piece as a separate text. */
function inPieces(text: string): string[] {
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

/** Bytes in UTF-8. */
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
