import { randomUUID } from 'node:crypto';
import type { SessionData } from '../ports/sessionStore.js';

const MIB = 1024 * 1024;

/** A record as the transport writes it, with a new session id. */
export function record(fields: Partial<SessionData> = {}): SessionData {
  const now = Date.now();
  return {
    sessionId: randomUUID(),
    initialized: false,
    createdAt: now,
    lastActivity: now,
    metadata: { mcp: { protocolVersion: '2025-11-25', initialize: initializeParams } },
    ...fields
  };
}

const initializeParams = {
  protocolVersion: '2025-11-25',
  capabilities: { sampling: {}, experimental: { 'x/y': { list: [] } } },
  clientInfo: { name: 'client "quoted" ü', version: '1' }
};

/** Values that JSON can represent but wrong encodings lose. */
export function oddMetadata(): Record<string, unknown> {
  const metadata = JSON.parse(`{
    "": "empty key", "__proto__": { "polluted": [] }, "constructor": null, "sub:a": "no subscription",
    "日本語 🙂": "\\u0000\\ud83d\\ude42\\n\\"", "a.b[0]{c}%d": [[], {}, [[]], { "empty": [] }],
    "nul\\u0000key": 1, "prototype": { "__proto__": null, "toString": "x" }, "sep": "\\u2028\\u2029\\ufeff\\u007f",
    "big": 9007199254740991, "huge": 1.7976931348623157e308, "small": 5e-324, "long": 12345678901234567000,
    "false": false, "null": null, "text": "1", "number": 1
  }`) as Record<string, unknown>;
  metadata.mcp = {
    protocolVersion: '2025-11-25',
    initialize: initializeParams,
    principal: '["https://issuer","üser"]',
    subscriptions: ['file:///ü%20{x}'],
    fromANewerVersion: { list: [] }
  };
  return metadata;
}

/** Texts that may break quoting, escaping, lookups in plain objects or limits of a backend. */
export function oddTexts(): string[] {
  return [
    ...['', ' ', '"', "'", '`', '\\', '\0', 'a\0b', '\n', '\r\n', '\t', '%', '%s', '%00', '$1', '$$', '--', ';', '/*'],
    ...['..', '../../etc/passwd', '/', '*', '?', '[a]', '{a}', '{}', 'a:b', 'a|b', 'null', 'true', '0', '{"a":1}'],
    ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', "'; drop table x; --"],
    ...['ü', 'u\u0308', '日本語', '🙂', '👩‍👩‍👧', '\u202e', '\ufeff', '\u2028', 'İ', 'ß', 'A', 'a', 'x'.repeat(5000)]
  ];
}

/** A text of 1 MiB in UTF-8 without repeated parts. */
export function oneMebibyte(): string {
  let text = '';
  for (let i = 0; text.length < MIB; i++) text += `${i.toString(36)},`;
  return text.slice(0, MIB);
}

/** Ids are 1 to 256 visible ASCII characters; these are new in each run, because a backend may keep old ones. */
export function oddSessionIds(): string[] {
  const run = randomUUID();
  return [
    ...['{}', '{', '}', '}{', '{a}', '%7Ba%7D', 'a', 'a:record', 'a:deleted', '{a}:record', '%', '%25', '%s', 'A'],
    ...["'", '"', '\\', '*', '?', '[x]', '..', '../', '../../', './', '/', '//', ':', '!', '~', '#', '$(x)', '`', '|'],
    ...['__proto__', 'constructor', 'toString', 'CON', 'nul', '-rf', '.', '.hidden', "';--", '<!--', '&amp;', '\\0']
  ]
    .flatMap(odd => [odd + run, run + odd])
    .concat(run.toUpperCase(), run)
    .concat(`${run}${'~'.repeat(256 - run.length)}`, `${run}${'~'.repeat(255 - run.length)}!`)
    .concat(`{${run}${'}'.repeat(255 - run.length)}`);
}

export const FUZZ_SEED = 20251125;

/** Random values that are the same in each run. */
export class Fuzz {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 up to, not including, `below`. */
  int(below: number): number {
    // mulberry32: 32 bits of state, good enough to mix samples.
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  }

  oneOf<T>(things: readonly T[]): T {
    return things[this.int(things.length)] as T;
  }

  /** Visible ASCII, as in session ids. */
  visible(maxLength: number): string {
    return Array.from({ length: this.int(maxLength + 1) }, () => String.fromCharCode(0x21 + this.int(94))).join('');
  }

  /** Any text that is valid Unicode. */
  text(): string {
    return Array.from({ length: this.int(12) }, () => this.#piece()).join('');
  }

  /** Any JSON value. */
  json(depth = 3): unknown {
    const kind = this.int(depth > 0 ? 8 : 5);
    if (kind === 0) return this.oneOf([null, true, false]);
    if (kind === 1) return this.oneOf([0, -1, 1.5, 1e21, -1e-7, this.int(2 ** 31), Number.MAX_SAFE_INTEGER]);
    if (kind < 5) return this.text();
    const length = this.int(5);
    if (kind === 5) return Array.from({ length }, () => this.json(depth - 1));
    return this.object(length, depth - 1);
  }

  object(length: number, depth: number): Record<string, unknown> {
    // fromEntries defines own keys, `__proto__` among them.
    return Object.fromEntries(Array.from({ length }, () => [this.text(), this.json(depth)]));
  }

  #piece(): string {
    const kind = this.int(4);
    if (kind === 0) return this.oneOf(oddTexts()).slice(0, 40);
    if (kind === 1) return String.fromCharCode(this.int(0x80));
    // Below the surrogates: JSON in UTF-8 cannot represent one surrogate alone.
    if (kind === 2) return String.fromCharCode(0x80 + this.int(0xd800 - 0x80));
    return String.fromCodePoint(0x1f300 + this.int(0x300));
  }
}
