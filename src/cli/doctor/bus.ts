import { withDeadline } from '../../deadline.js';
import type { SessionBus } from '../../ports/sessionBus.js';
import { performance } from '../../timers.js';
import type { Advice, Findings } from '../finding.js';

const ROUNDS = 5;
const WAIT_MS = 3000;
const SLOW_MS = 100;

/** Sends messages to itself over a second connection, as pods do. Closes the bus. */
export async function checkBus(bus: SessionBus, findings: Findings, advice: Advice): Promise<void> {
  const topic = `doctor:${globalThis.crypto.randomUUID()}`;
  let heard: (text: string) => void = () => {};
  try {
    await withDeadline(() => bus.subscribe(topic, text => heard(text)), WAIT_MS);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = performance.now();
      const text = String(round);
      const arrival = new Promise<void>(resolve => (heard = got => got === text && resolve()));
      await bus.publish(topic, text);
      await withDeadline(
        () => arrival,
        WAIT_MS,
        () => new Error(`a message was not heard within ${WAIT_MS} ms`)
      );
      times.push(performance.now() - before);
    }
    const ms = times.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
    const what = `a message between two connections takes ${ms.toFixed(1)} ms`;
    if (ms <= SLOW_MS) return findings.ok('bus', what);
    findings.warning('bus', what, {
      why: 'messages between pods are late by as much: answers to server requests, notifications, DELETE',
      fix: 'look for slow commands (SLOWLOG GET on Redis) and for a network between the pods and the backend'
    });
  } catch (error) {
    findings.fatal('bus', `messages between two connections do not arrive: ${(error as Error).message}`, advice);
  } finally {
    await bus.close().catch(() => {});
  }
}
