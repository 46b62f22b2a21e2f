import { InMemoryEventStore } from 'mcp-sdk-anypod/server';
import { Connection } from '../../src/engine/streams/connection.js';
import { EventLog } from '../../src/engine/streams/eventLog.js';
import { PodEvents } from '../../src/events/podEvents.js';
import { LogDelivery } from '../../src/engine/streams/logDelivery.js';
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
      disconnect: () => {}
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
    const log = new EventLog(store, 1000, report, new PodEvents().log);
    const cursor = (await log.append(stream, { jsonrpc: '2.0', method: 'notifications/test' }))!;
    new LogDelivery(connection, { cursor, log, report, isShared: false }).follow(stream);
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

test('a read that is answered after the session has ended, and its streams are deleted, reports nothing', async () => {
  const owner = {
    keepAliveMs: 0,
    retryInterval: 100,
    log: undefined,
    report: () => {},
    connectionOpened() {},
    connectionEnded() {}
  };
  const sink = { writer: undefined, bufferedBytes: 0, write() {}, end() {}, disconnect() {} };
  const connection = new Connection({ id: 'get', connection: undefined }, sink, owner, true);
  const store = new InMemoryEventStore();
  const read = store.replayEventsAfter.bind(store);
  let isEnding = false;
  store.replayEventsAfter = async (...args) => {
    if (isEnding) connection.close();
    return read(...args);
  };
  const log = new EventLog(store, 1000, owner.report, new PodEvents().log);
  const delivery = new LogDelivery(connection, { cursor: 'get@7', log, report: owner.report, isShared: false });
  await expect(delivery.read()).rejects.toThrow('The event that the client saw last is not in the log');
  isEnding = true;
  await delivery.read();
});
