import { RunningTasks } from '../../src/tasks/runningTasks.js';
import { type SessionServer, registerServer, unregisterServer } from '../../src/tasks/liveServers.js';
import { useGlobalTimers } from '../support/useGlobalTimers.js';

class FakeServer implements SessionServer {
  live = true;
  retained = 0;
  sendBy = jest.fn();
  fail = jest.fn();

  retain(): () => void {
    this.retained++;
    return () => void this.retained--;
  }
}

describe('a running task', () => {
  let server: FakeServer;
  let tasks: RunningTasks;
  let restoreTimers: () => void;
  beforeEach(() => {
    jest.useFakeTimers();
    restoreTimers = useGlobalTimers();
    server = new FakeServer();
    tasks = new RunningTasks();
    registerServer('s', server);
  });
  afterEach(() => {
    unregisterServer('s', server);
    expect(jest.getTimerCount()).toBe(0);
    restoreTimers();
    jest.useRealTimers();
  });

  it('keeps its server until it has ended', () => {
    tasks.started('one', 's', async () => {});
    tasks.started('other', 's', async () => {});
    tasks.ended('one');
    tasks.ended('one');
    expect(server.retained).toBe(1);
    tasks.ended('other');
    expect(server.retained).toBe(0);
  });

  it('is checked again after the store was unavailable, so that its end on another pod is noticed', async () => {
    const look = jest.fn(async () => tasks.ended('one'));
    look.mockRejectedValueOnce(new Error('store down'));
    tasks.started('one', 's', look);
    await jest.advanceTimersByTimeAsync(30_000);
    expect([look.mock.calls.length, server.retained]).toEqual([1, 1]);
    await jest.advanceTimersByTimeAsync(30_000);
    expect([look.mock.calls.length, server.retained]).toEqual([2, 0]);
  });

  it('releases its server when the session has left the pod', async () => {
    const look = jest.fn();
    tasks.started('one', 's', look);
    server.live = false;
    await jest.advanceTimersByTimeAsync(30_000);
    expect(look).not.toHaveBeenCalled();
    expect(server.retained).toBe(0);
  });

  it('keeps nothing if its session has no server here, or if there is no session', () => {
    tasks.started('one', 'other', async () => {});
    tasks.started('two', undefined, async () => {});
    expect(server.retained).toBe(0);
  });
});
