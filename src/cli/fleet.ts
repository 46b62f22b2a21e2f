import { answersTopic, parsePodMessage, podMessage, PODS_TOPIC, type PodState } from '../engine/pods/podMessage.js';
import { withDeadline } from '../deadline.js';
import type { SessionBus } from '../ports/sessionBus.js';
import { untilNext } from './sessionsWatch.js';
import { CommandError, EXIT } from './usage.js';

/** A pod that answers is not waited for longer than this after the last answer. */
const QUIET_MS = 300;
const SUBSCRIBE_MS = 5000;

/** Asks the pods over the bus. */
export class Fleet {
  readonly #bus: SessionBus;
  readonly #asker = `operator-${globalThis.crypto.randomUUID().slice(0, 8)}`;
  #heard: (pod: PodState) => void = () => {};

  private constructor(bus: SessionBus) {
    this.#bus = bus;
  }

  /** @throws CommandError if the bus does not work */
  static async join(bus: SessionBus | undefined): Promise<Fleet> {
    if (!bus) throw new CommandError('files have no bus, so pods cannot be asked: look at each process', EXIT.usage);
    const fleet = new Fleet(bus);
    try {
      await withDeadline(() => bus.subscribe(answersTopic(fleet.#asker), text => fleet.#receive(text)), SUBSCRIBE_MS);
    } catch (error) {
      const reason = (error as Error).message;
      throw new CommandError(`the bus does not work (${reason}): npx mcp-sdk-anypod doctor says why`, EXIT.unusable);
    }
    return fleet;
  }

  /** The pods that answer within `waitMs`, ordered by host and instance. */
  async ask(waitMs: number, signal: AbortSignal): Promise<PodState[]> {
    const pods = new Map<string, PodState>();
    let last = 0;
    this.#heard = pod => void (pods.set(pod.instance, pod), (last = elapsed));
    await this.#publish(podMessage(this.#asker, { type: 'pods-asked' }));
    const step = 50;
    let elapsed = 0;
    // With answers, it waits only until they stop.
    for (; elapsed < waitMs && !signal.aborted; elapsed += step) {
      if (pods.size > 0 && elapsed - last >= QUIET_MS) break;
      await untilNext(step, signal);
    }
    return [...pods.values()].sort((a, b) => (a.host + a.instance < b.host + b.instance ? -1 : 1));
  }

  /** @returns its state, or undefined if it does not answer */
  async drain(instance: string, delayMs: number, drainMs: number, waitMs: number): Promise<PodState | undefined> {
    const answer = new Promise<PodState>(resolve => {
      this.#heard = pod => pod.instance === instance && resolve(pod);
    });
    await this.#publish(podMessage(this.#asker, { type: 'pod-drain', to: instance, delayMs, drainMs }));
    return withDeadline(() => answer, waitMs).catch(() => undefined);
  }

  async #publish(text: string): Promise<void> {
    try {
      await withDeadline(() => this.#bus.publish(PODS_TOPIC, text), SUBSCRIBE_MS);
    } catch (error) {
      const reason = (error as Error).message;
      throw new CommandError(`the bus does not work (${reason}): npx mcp-sdk-anypod doctor says why`, EXIT.unusable);
    }
  }

  #receive(text: string): void {
    try {
      const message = parsePodMessage(text);
      if (message.type === 'pod-state') this.#heard(message.pod);
    } catch {
      // From a newer pod, or not from a pod: it is not listed.
    }
  }
}
