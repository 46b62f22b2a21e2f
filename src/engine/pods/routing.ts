import type { JSONRPCErrorResponse, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest } from '../../sdkTypes.js';
import type { WaitBudget } from '../../deadline.js';
import { BusUnavailableError } from '../../errors.js';
import { registerServer, type SessionServer, unregisterServer } from '../../tasks/liveServers.js';
import type { BusBody, BusMessage } from './busMessage.js';
import type { OtherPods, SessionContext, StreamState } from '../context.js';
import { isResponse } from '../http/jsonRpc.js';
import { send, storedLate } from '../streams/outbound.js';
import type { SessionStreams } from '../streams/sessionStreams.js';
import { type BusListener, Peers } from './peers.js';
import { ServerRequests } from './serverRequests.js';
import { StreamOwnership } from './streamOwnership.js';
import { isSessionId } from '../../ports/sessionId.js';
import { parseStreamId } from '../streams/streamId.js';

/** Decides for each message whether it belongs to the server on this pod, to one on another pod, or to all servers. */
export class Routing implements OtherPods, SessionServer, BusListener {
  readonly #context: SessionContext;
  readonly #streams: SessionStreams;
  readonly #peers: Peers;
  /** What this pod's server asks its client. */
  readonly serverRequests: ServerRequests;
  #left = false;
  /** Undefined until the session needs it: most sessions have no standalone stream and never resume one. */
  #ownership: StreamOwnership | undefined;

  constructor(context: SessionContext, streams: SessionStreams) {
    this.#context = context;
    this.#streams = streams;
    this.#peers = new Peers(context.options, this, context.report);
    this.serverRequests = new ServerRequests(this.#peers.instance);
  }

  get instance(): string {
    return this.#peers.instance;
  }

  join(sessionId: string, waits?: WaitBudget): Promise<void> {
    return this.#peers.join(sessionId, waits);
  }

  leave(): Promise<void> {
    this.#left = true;
    this.#ownership?.close();
    this.serverRequests.close();
    if (this.#context.sessionId !== undefined) unregisterServer(this.#context.sessionId, this);
    return this.#peers.leave();
  }

  get live(): boolean {
    return !this.#left;
  }

  /** Registers this pod's server as the sender of the next message that is queued for a task of the session. */
  register(): void {
    if (this.live && this.#context.sessionId !== undefined) registerServer(this.#context.sessionId, this);
  }

  async sendBy(request: JSONRPCRequest, send: (addressed: JSONRPCRequest) => Promise<void>): Promise<void> {
    const addressed = this.serverRequests.outgoing(request, this.#context.sessionId) as JSONRPCRequest;
    try {
      await send(addressed);
    } catch (error) {
      this.serverRequests.forget(request.id);
      throw error;
    }
  }

  async fail(response: JSONRPCErrorResponse): Promise<boolean> {
    if (this.serverRequests.ownerOf(response.id) === undefined) return false;
    try {
      const inbound = await this.inbound(response);
      if (inbound) await this.#context.receive(inbound, {});
    } catch (error) {
      this.#context.report(error as Error);
    }
    return true;
  }

  retain(): () => void {
    return this.#context.retain();
  }

  /** A message for the standalone stream that is not attached here. */
  toStandalone(message: JSONRPCMessage, eventId: string | undefined): Promise<void> {
    return this.#streamOwnership.toStandalone(message, eventId);
  }

  /** The same for a client that has neither a stream nor a cursor, according to the event log. */
  async toStandaloneUnlogged(message: JSONRPCMessage): Promise<void> {
    await this.#publish({ type: 'standalone', message, unlogged: true });
  }

  async toStream(streamId: string, message: JSONRPCMessage, eventId: string | undefined): Promise<void> {
    await this.#publish({ type: 'stream-event', streamId, message, eventId });
  }

  async streamEnded(streamId: string, waits?: WaitBudget): Promise<void> {
    await this.#publish({ type: 'stream-close', streamId }, waits);
  }

  async storedLate(streamId: string, message: JSONRPCMessage, eventId: string): Promise<void> {
    this.#ownership?.storedLate(message, eventId);
    await this.#publish({ type: 'event-stored', streamId, message, eventId });
  }

  announce(streamId: string, waits?: WaitBudget): Promise<void> {
    return this.#streamOwnership.announce(streamId, waits);
  }

  ask(streamId: string, waits?: WaitBudget): Promise<StreamState> {
    return this.#streamOwnership.ask(streamId, waits);
  }

  /**
   * The client has opened its standalone stream here, without `Last-Event-ID`.
   * @param since - when its request arrived, by `performance.now()`
   */
  standaloneOpened(since: number, waits?: WaitBudget): Promise<void> {
    return this.#streamOwnership.standaloneOpened(false, since, waits);
  }

  async closeStandaloneElsewhere(): Promise<void> {
    await this.#publish({ type: 'standalone-close' });
  }

  /** Whether another pod holds the client's standalone stream and keeps it. */
  standaloneIsHeldElsewhere(waits?: WaitBudget): Promise<boolean> {
    return this.#streamOwnership.standaloneIsHeldElsewhere(waits);
  }

  get #streamOwnership(): StreamOwnership {
    return (this.#ownership ??= new StreamOwnership(this.#context, this.#streams, this.#peers));
  }

  async changed(waits?: WaitBudget): Promise<void> {
    await this.#publish({ type: 'changed' }, waits);
  }

  async ended(waits?: WaitBudget, sessionId = this.#context.sessionId): Promise<void> {
    if (sessionId !== undefined && isSessionId(sessionId)) {
      await this.#peers.publish(sessionId, { type: 'ended' }, waits);
    }
  }

  /**
   * Routes a message of the client that is not a request.
   * @returns the message for this pod's server, if there is one
   * @throws BusUnavailableError if it belongs to another pod and the bus did not take it
   * @throws BusMessageTooLargeError if it is for another pod and exceeds `maxBusMessageBytes`
   */
  async inbound(message: JSONRPCMessage, waits?: WaitBudget): Promise<JSONRPCMessage | undefined> {
    if (isResponse(message)) return this.#inboundResponse(message, waits);
    const notification = message;
    switch (notification.method) {
      case 'notifications/cancelled':
        return this.#inboundCancelled(notification, waits);
      case 'notifications/progress':
        return this.#inboundProgress(notification, waits);
      default:
        this.#peers.checkSize(message);
        await this.#publish({ type: 'notification', message }, waits);
        return message;
    }
  }

  async #inboundResponse(
    message: JSONRPCMessage & { id?: string | number },
    waits: WaitBudget | undefined
  ): Promise<JSONRPCMessage | undefined> {
    const owner = this.serverRequests.ownerOf(message.id);
    if (owner === undefined || owner === this.#peers.instance) return this.#restored(message);
    this.#peers.checkSize(message);
    await this.#mustPublish({ type: 'response', to: owner, message }, waits);
    return undefined;
  }

  #restored(message: JSONRPCMessage & { id?: string | number }, from?: string): JSONRPCMessage | undefined {
    const restored = this.serverRequests.restoreResponse(message, from);
    if (!restored) this.#context.report(new Error('Dropped a response of the client to a request that is not open'));
    return restored;
  }

  async #inboundCancelled(
    message: JSONRPCNotification,
    waits: WaitBudget | undefined
  ): Promise<JSONRPCMessage | undefined> {
    const requestId = message.params?.requestId as string | number | undefined;
    if (requestId === undefined || this.#streams.isOpen(requestId)) return message;
    // The request is open on another pod or not open. In the second case the server ignores the message.
    this.#peers.checkSize(message);
    await this.#publish({ type: 'cancelled', message }, waits);
    return message;
  }

  async #inboundProgress(
    message: JSONRPCNotification,
    waits: WaitBudget | undefined
  ): Promise<JSONRPCMessage | undefined> {
    const owner = this.serverRequests.ownerOf(message.params?.progressToken);
    if (owner === undefined) return message;
    if (owner === this.#peers.instance) return this.serverRequests.restoreProgress(message);
    this.#peers.checkSize(message);
    await this.#publish({ type: 'progress', to: owner, message }, waits);
    return undefined;
  }

  onMessage(message: BusMessage): void {
    if (message.from === this.instance) {
      if (message.type === 'standalone-opened') this.#ownership?.onOwnAnnouncement();
      return;
    }
    this.#handle(message).catch((error: Error) => this.#context.report(error));
  }

  onMissedMessages(): void {
    this.#context.refresh().catch((error: Error) => this.#context.report(error));
  }

  async #handle(message: BusMessage): Promise<void> {
    switch (message.type) {
      case 'response': {
        const response = this.#restored(message.message, message.traceparent);
        return response && this.#context.receive(response, {});
      }
      case 'progress': {
        const progress = this.serverRequests.restoreProgress(message.message);
        return progress && this.#context.receive(progress, {});
      }
      case 'cancelled': {
        const { params } = message.message as JSONRPCNotification;
        const isOpenHere = this.#streams.isOpen(params?.requestId as string | number);
        return isOpenHere ? this.#context.receive(message.message, {}) : undefined;
      }
      case 'notification':
        return this.#context.receive(message.message, {});
      case 'standalone':
        // The log of a quiet stream has expired. A new log begins, so that the client has a cursor.
        if (message.unlogged && this.#streams.holdsStandaloneStream)
          return send(this.#streams, message.message, undefined);
        return this.#ownership?.onStandalone(message);
      case 'standalone-opened':
        return this.#ownership?.onStandaloneOpened(message);
      case 'standalone-close':
        return this.#streams.closeStandaloneStream();
      case 'standalone-wanted':
        if (this.#streams.holdsStandaloneStream) await this.#publish({ type: 'standalone-held', to: message.from });
        return;
      case 'standalone-held':
        return this.#ownership?.onStandaloneHeld(message);
      case 'stream-resumed':
        return this.#follow(message.streamId, message.from);
      case 'stream-state':
        return this.#ownership?.answer(message.streamId, message.open ? 'open' : 'done');
      case 'stream-event':
        return this.#streams.writeTo(message.streamId, message.message, message.eventId);
      case 'event-stored':
        return storedLate(this.#streams, message.streamId, message.message, message.eventId);
      case 'stream-close':
        return this.#streams.streamNamed(message.streamId).connection?.finish();
      case 'changed':
        return this.#context.refresh();
      case 'ended':
        return this.#context.onEnded('other-pod');
    }
  }

  /** The client has this stream on another pod now. The owner sends later messages there. */
  async #follow(streamId: string, to: string): Promise<void> {
    this.#streams.streamNamed(streamId).connection?.close();
    // Checked after that: a stream whose requests were cancelled gets no more messages without an attached client.
    const open = this.#streams.openStream(streamId);
    if (open) open.isOnOtherPod = true;
    if (parseStreamId(streamId).owner === this.instance) {
      await this.#publish({ type: 'stream-state', to, streamId, open: open !== undefined });
    }
  }

  async #publish(body: BusBody, waits?: WaitBudget): Promise<boolean> {
    const { sessionId } = this.#context;
    return sessionId !== undefined && this.#peers.publish(sessionId, body, waits);
  }

  async #mustPublish(body: BusBody, waits: WaitBudget | undefined): Promise<void> {
    if (!(await this.#publish(body, waits))) throw new BusUnavailableError('The message could not be sent to its pod');
  }
}
