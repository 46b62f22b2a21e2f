import { Connection } from '../../src/engine/streams/connection.js';
import { replaceTimers } from '../../src/timers.js';

const MEBIBYTE = 1024 * 1024;

/** A connection to a client that has left so much unread. */
function connect(): {
  connection: Connection;
  sink: { bufferedBytes: number; written: string[]; disconnects: number };
  reported: string[];
} {
  const reported: string[] = [];
  const sink = {
    writer: undefined,
    bufferedBytes: 0,
    written: [] as string[],
    write: (text: string) => void sink.written.push(text),
    end: () => {},
    disconnect: () => void (sink.disconnects += 1),
    disconnects: 0
  };
  const owner = {
    keepAliveMs: 0,
    retryInterval: undefined,
    log: undefined,
    report: (error: Error) => void reported.push(error.name),
    connectionOpened: () => {},
    connectionEnded: () => {}
  };
  return { connection: new Connection({ id: 's', connection: undefined }, sink, owner, true), sink, reported };
}

describe('a client that leaves much unread', () => {
  let now = 0;
  let restoreTimers: () => void;
  beforeEach(() => (restoreTimers = replaceTimers({ performance: { now: () => now } })));
  afterEach(() => restoreTimers());

  test('has five seconds to catch up, and again five seconds after it has caught up', () => {
    const { connection, sink, reported } = connect();
    for (const [seconds, mebibytes] of [
      [0, 5],
      [4.9, 5],
      [5, 4],
      [9, 5],
      [14, 5]
    ] as const) {
      now = seconds * 1000;
      sink.bufferedBytes = mebibytes * MEBIBYTE;
      void connection.write('x');
    }
    expect([sink.written.length, sink.disconnects, connection.ended, reported]).toEqual([5, 0, false, []]);
    now = 14_001;
    void connection.write('x');
    expect([sink.written.length, sink.disconnects, connection.ended, reported]).toEqual([
      5,
      1,
      true,
      ['SlowClientError']
    ]);
  });

  test('is disconnected at once if it leaves more than the limit', () => {
    const { connection, sink, reported } = connect();
    sink.bufferedBytes = 32 * MEBIBYTE;
    void connection.write('x');
    sink.bufferedBytes++;
    void connection.write('x');
    expect([sink.written.length, sink.disconnects, connection.ended, reported]).toEqual([
      1,
      1,
      true,
      ['SlowClientError']
    ]);
  });
});
