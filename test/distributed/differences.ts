/** What pods show their clients otherwise than one process with the stock SDK, on purpose. */
export const differences = {
  'ids of questions':
    'What a server asks its client has ids, and progress tokens, that are strings and name who asked: the numbers of ' +
    'several servers would collide. Transcripts name a question by what it asks.',
  takeover:
    'A client that comes back while its old connection still stands takes its stream over, unless `standaloneStream` ' +
    "is 'reject'. With the stock SDK it waits until the old connection is gone, which is what the player does there.",
  'ends when answered':
    'A stream that is resumed when all that it had to say is in the log ends behind it, or is answered 204 when the ' +
    'client has had it all. With the stock SDK it stays open and says nothing, until the client leaves.',
  'early questions':
    'A question for the GET stream that is asked just before a GET comes is asked when that stream is ' +
    'open. The stock SDK drops it. Scripts have no such question; PATCHES.md, section 25, says why.',
  'early cursor':
    'A GET stream begins with a cursor, where there is an event log. The stock SDK gives one with the first message; ' +
    'before that, the player opens a fresh stream.',
  'learns again':
    'A server that is made on another pod, or anew, has not heard the notifications before that. The application here ' +
    'is told how many there were, as one would be that keeps what it learns.'
} as const;

export type Difference = keyof typeof differences;
