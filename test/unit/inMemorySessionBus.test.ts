import { InMemorySessionBus } from 'mcp-sdk-anypod/server';
import { sessionBusContract } from 'mcp-sdk-anypod/testing';

sessionBusContract({
  describe,
  it,
  name: 'InMemorySessionBus',
  makeTwo: async () => {
    const bus = new InMemorySessionBus();
    return { first: bus, second: bus };
  }
});

test('a listener that throws affects neither other listeners nor later messages', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    const bus = new InMemorySessionBus();
    const heard: string[] = [];
    await bus.subscribe('t', () => {
      throw new Error('of the application');
    });
    await bus.subscribe('t', text => heard.push(text));
    await bus.publish('t', 'x');
    await bus.publish('t', 'y');
    await new Promise(setImmediate);
    expect(heard).toEqual(['x', 'y']);
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
  }
});
