/**
 * Which messages between pods a pod understands. `older`: as before pods acknowledged messages for the GET stream and told
 * each other of events that were stored late. `newer`: its messages have more fields, and some are of a kind or a version
 * that the others do not know.
 */
export type BusVersion = 'current' | 'older' | 'newer';

type Body = Record<string, unknown> & { type?: string };

/** What a pod of this version publishes in place of a message of the current version. */
export function sent(version: BusVersion, text: string): string[] {
  if (version === 'current') return [text];
  const body = JSON.parse(text) as Body;
  if (version === 'newer') {
    const { from } = body;
    return [
      JSON.stringify({ ...body, hint: { of: 'a newer version' } }),
      JSON.stringify({ v: 1, from, type: 'gossip', streamId: 1 }),
      JSON.stringify({ v: 2, from, type: 'ended' })
    ];
  }
  if (body.type === 'event-stored' || (body.type === 'standalone-held' && 'seqs' in body)) return [];
  return [JSON.stringify(asOlder(body))];
}

/** What a pod of this version hears of a message; undefined if it drops it. */
export function received(version: BusVersion, text: string): string | undefined {
  if (version !== 'older') return text;
  const body = JSON.parse(text) as Body;
  return body.type === 'event-stored' ? undefined : JSON.stringify(asOlder(body));
}

function asOlder({ acknowledges, openingMs, seq, unlogged, ...body }: Body): Body {
  // Fields that came later.
  void [acknowledges, openingMs, seq, unlogged];
  return body;
}
