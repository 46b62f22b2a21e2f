import fc, { type Arbitrary } from 'fast-check';
import { QUESTIONS } from '../support/pods/askingTools.js';
import {
  type Action,
  type Call,
  type ClientSpec,
  LEVELS,
  NOTICES,
  type Script,
  type SessionScript,
  STYLES,
  WRONG_EXCHANGES
} from './script.js';

const client: Arbitrary<ClientSpec> = fc.record({
  version: fc.constantFrom('2025-11-25', '2025-11-25', '2025-06-18', '2025-03-26', '1999-01-01'),
  capabilities: fc.subarray(['form', 'sampling', 'roots', 'url'] as const),
  ids: fc.constantFrom('number', 'string', 'odd'),
  completes: fc.boolean(),
  tellsVersion: fc.boolean()
});

const small = fc.integer({ min: 1, max: 3 });
const uri = fc.constantFrom('test://a', 'test://b', 'test://c{}:*');
const leaving = fc.constantFrom('drop', 'half-open');

const call: Arbitrary<Call> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('echo', 'fail', 'add', 'ping', 'list tools') }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('whoami', 'subscribed', 'heard') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('unknown method', 'unknown tool', 'bad params', 'bad arguments', 'bad level')
    })
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('note', 'progress', 'talk'), count: small }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('log') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('set level'), level: fc.constantFrom(...LEVELS) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('subscribe', 'unsubscribe'), uri }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('ask'),
      question: fc.constantFrom(...QUESTIONS),
      style: fc.constantFrom(...STYLES),
      count: small,
      unrelated: fc.boolean()
    })
  }
);

/** Of requests in flight together, what one changes no other reads or changes. */
function withoutRaces(calls: Call[]): Call[] {
  const keys = calls.map(keyOf);
  const changes = keys.some(key => key !== undefined);
  const reads = (each: Call): boolean => each.kind === 'log' || each.kind === 'subscribed';
  return calls.filter((each, index) => {
    const key = keys[index];
    return key === undefined ? !changes || !reads(each) : keys.indexOf(key) === index;
  });
}

/** What of the session a call changes. */
function keyOf(each: Call): string | undefined {
  if (each.kind === 'set level') return 'level';
  return each.kind === 'subscribe' || each.kind === 'unsubscribe' ? each.uri : undefined;
}

/** An action of each kind, and how often it comes. */
const kinds: [number, Arbitrary<{ do: string }>][] = [
  [1, fc.record({ do: fc.constant('initialize'), client })],
  [
    10,
    fc.record({
      do: fc.constant('request'),
      requests: fc.array(call, { minLength: 1, maxLength: 4 }).map(withoutRaces),
      batch: fc.boolean()
    })
  ],
  [
    5,
    fc.record({
      do: fc.constant('leave and resume'),
      before: small,
      after: fc.integer({ min: 0, max: 3 }),
      hops: small,
      leaving: fc.constantFrom('drop', 'half-open', 'server closes'),
      goesOn: fc.constantFrom('live', 'meanwhile', 'at once'),
      asks: fc.boolean()
    })
  ],
  [2, fc.record({ do: fc.constant('cancel'), calls: fc.integer({ min: 1, max: 2 }), moved: fc.boolean() })],
  [4, fc.record({ do: fc.constant('open GET') })],
  [2, fc.record({ do: fc.constant('leave GET'), leaving })],
  [3, fc.record({ do: fc.constant('resume GET') })],
  [1, fc.record({ do: fc.constant('server closes GET') })],
  [3, fc.record({ do: fc.constant('leave GET amid talk'), calls: fc.constant(1), each: small, leaving })],
  [3, fc.record({ do: fc.constant('notify'), what: fc.constantFrom(...NOTICES) })],
  [2, fc.record({ do: fc.constant('wrong exchange'), what: fc.constantFrom(...WRONG_EXCHANGES) })],
  [1, fc.record({ do: fc.constant('delete'), inFlight: fc.integer({ min: 0, max: 2 }) })],
  [2, fc.record({ do: fc.constant('forget'), pod: fc.integer({ min: 0, max: 2 }) })]
];

const route = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 4 });

const action = fc.oneof(
  ...kinds.map(([weight, arbitrary]) => ({
    weight,
    arbitrary: fc.tuple(arbitrary, route).map(([what, pods]) => ({ ...what, route: pods }) as unknown as Action)
  }))
);

/** See 'early questions' in differences.ts: where a GET follows, a question waits for an open GET stream. */
function withoutEarlyQuestions(actions: Action[]): Action[] {
  let isOpen = false;
  return actions.map((each, index) => {
    if (opensGet(each)) isOpen = each.do !== 'leave GET amid talk';
    else if (/GET|delete|forget|initialize/.test(each.do)) isOpen = false;
    if (each.do !== 'request' || isOpen || !actions.slice(index).some(opensGet)) return each;
    const requests = each.requests.map(call => (call.kind === 'ask' ? { ...call, unrelated: false } : call));
    return { ...each, requests };
  });
}

/** A client that has no cursor resumes with a fresh GET. */
function opensGet({ do: what }: Action): boolean {
  return what === 'open GET' || what === 'resume GET' || what === 'leave GET amid talk';
}

const session: Arbitrary<SessionScript> = fc.record({
  client,
  actions: fc.array(action, { minLength: 1, maxLength: 10, size: 'max' }).map(withoutEarlyQuestions)
});

/** @param pods - at most */
export function scripts(pods: number): Arbitrary<Script> {
  return fc.record({
    options: fc.record({
      log: fc.constantFrom(true, true, true, false),
      reject: fc.constantFrom(false, false, false, true),
      json: fc.constantFrom(false, false, false, false, false, true)
    }),
    pods: fc.integer({ min: 2, max: pods }),
    sessions: fc.array(session, { minLength: 1, maxLength: 2 })
  });
}
