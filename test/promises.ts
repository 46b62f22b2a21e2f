/**
 * What the project promises, and the tests that show it. A test carries a promise by a comment `// Promise: <id>` on the
 * line above it; test/unit/promises.test.ts compares the comments, this table and the one in test/README.md.
 */
export interface KeptPromise {
  readonly id: string;
  readonly sentence: string;
  /** The files, below `test`, of the tests that carry the id. */
  readonly files: readonly string[];
}

/** L: what holds at any time. F: what a client gets when something fails. */
export const promises: readonly KeptPromise[] = [
  {
    id: 'L1',
    sentence: 'N pods behave as one: a client sees what one process with the stock SDK would show it.',
    files: ['cluster/anyPod.test.ts', 'distributed/distributed.test.ts']
  },
  {
    id: 'L2',
    sentence: 'Memory mode is the stock SDK on the wire, apart from the differences that PATCHES.md numbers.',
    files: ['oracle/generated.test.ts', 'oracle/patches.test.ts']
  },
  {
    id: 'L3',
    sentence: 'The store decides whether a session exists: 404 only if it said so, 503 if it fails or is slow.',
    files: ['cluster/recovery.test.ts', 'cluster/routingFaults.test.ts', 'service/faults/redisOutages.test.ts']
  },
  {
    id: 'L4',
    sentence: 'A session is stored before its id leaves the pod, and removed from the store before DELETE is answered.',
    files: ['cluster/routingEndings.test.ts', 'service/faults/redisOutages.test.ts', 'service/handler/handler.test.ts']
  },
  {
    id: 'L5',
    sentence: 'Nothing of one session can be read or answered through another.',
    files: ['cluster/resume.test.ts', 'cluster/routingForgeries.test.ts']
  },
  {
    id: 'L6',
    sentence: 'An exchange of a live session makes one round trip to the store, and none in memory mode.',
    files: ['service/postgres/roundTrips.test.ts', 'service/redis/roundTrips.test.ts']
  },
  {
    id: 'L7',
    sentence: 'A computed answer is delivered while the connection lives, even if the store and the event log fail.',
    files: ['service/faults/redisOutages.test.ts']
  },
  {
    id: 'L8',
    sentence: 'Every map, buffer, log and lease is bounded; an idle session costs a pod nothing.',
    files: [
      'service/handler/abandoned.test.ts',
      'service/handler/handler.test.ts',
      'service/redis/sessionStore.test.ts',
      'service/redis/tasks.test.ts'
    ]
  },
  {
    id: 'F1',
    sentence: 'An unknown or expired session: 404, JSON-RPC error -32001 `Session not found`.',
    files: ['cluster/recovery.test.ts', 'cluster/routingEndings.test.ts']
  },
  {
    id: 'F2',
    sentence: 'No session id in a request other than initialize: 400, as the stock SDK answers.',
    files: ['cluster/recovery.test.ts', 'service/handler/handler.test.ts']
  },
  {
    id: 'F3',
    sentence: 'The store is down, slow or full: 503 with `Retry-After: 1`, and the session stays as it is.',
    files: ['service/faults/redisOutages.test.ts']
  },
  {
    id: 'F4',
    sentence: 'A stored record that cannot be read: 503, a report without the session id, and the record stays.',
    files: ['service/faults/redisOutages.test.ts', 'service/handler/handler.test.ts']
  },
  {
    id: 'F5',
    sentence: 'The session of another principal: the same 404 as for an unknown session.',
    files: ['cluster/principals.test.ts']
  },
  {
    id: 'F6',
    sentence: 'The event log fails during an answer: the event goes out without an id, and `onerror` is called.',
    files: ['oracle/differences.test.ts', 'service/faults/redisOutages.test.ts']
  },
  {
    id: 'F7',
    sentence: 'The bus is down: requests on the owning pod go on, the rest is reported, and it recovers by itself.',
    files: ['cluster/routingFaults.test.ts']
  },
  {
    id: 'F8',
    sentence:
      'A pod is killed: the next request recovers elsewhere, a resumable stream resumes, and the client of a request that it ran gets an error.',
    files: ['cluster/podsDie.test.ts', 'cluster/resume.test.ts']
  },
  {
    id: 'F9',
    sentence: 'A client that leaves is treated as by the stock SDK; its successor keeps its stream.',
    files: ['service/transport/departedClient.test.ts']
  }
];
