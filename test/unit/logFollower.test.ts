import { InMemoryEventStore } from 'mcp-sdk-anypod/server';
import { Connection } from '../../src/engine/streams/connection.js';
import { EventLog } from '../../src/engine/streams/eventLog.js';
import { Follower } from '../../src/engine/streams/logFollower.js';
import { replaceTimers } from '../../src/timers.js';

test('a client whose log expires while it listens gets a cursor of the new log', async () => {
  let look: (() => void) | undefined;
  const setInterval = ((tick: () => void) => {
    look = tick;
    return {};
  }) as typeof globalThis.setInterval;
  const restoreTimers = replaceTimers({ setInterval });
  try {
    const store = new InMemoryEventStore({ maxStreams: 1 });
    const written: string[] = [];
    let wake: (() => void) | undefined;
    const sink = {
      writer: undefined,
      bufferedBytes: 0,
      write: (text: string) => {
        written.push(text);
        wake?.();
      },
      end: () => {},
      cut: () => {}
    };
    const report = (error: Error): void => {
      throw error;
    };
    const owner = {
      keepAliveMs: 0,
      retryInterval: 100,
      log: undefined,
      report,
      connectionOpened() {},
      connectionEnded() {}
    };
    const stream = { id: 'get', connection: undefined };
    const connection = new Connection(stream, sink, owner, true);
    const log = new EventLog(store, 1000, report);
    const cursor = (await log.append(stream, { jsonrpc: '2.0', method: 'notifications/test' }))!;
    new Follower(connection, cursor, log, report, false).follow(stream);
    // Another stream drives this one out.
    await store.storeEvent('other', { jsonrpc: '2.0', method: 'notifications/test' });
    const told = new Promise<void>(resolve => (wake = resolve));
    look!();
    await told;
    expect(written).toEqual([`id: ${await store.latestEventId('get')}\nretry: 100\ndata: \n\n`]);
  } finally {
    restoreTimers();
  }
});
