/** A fault that is put into the product on purpose: the simulation must find it. */
export interface Mutation {
  /** What the mutated code does wrong. */
  readonly fault: string;
  /** Below src. */
  readonly file: string;
  /** Stands in the file once. */
  readonly find: string;
  readonly replace: string;
}

export const mutations: readonly Mutation[] = [
  // A session exists if the store has it, and only then.
  {
    fault: 'a session store that fails is taken for one that does not have the session',
    file: 'engine/session/lookup.ts',
    find: 'return storeFailure(error, report);',
    replace: 'return refuseNotFound(report);'
  },
  {
    fault: 'the session is not stored before its id leaves the pod',
    file: 'engine/session/storedSession.ts',
    find: 'await this.#storeAccess.create(record, waits);',
    replace: 'void this.#storeAccess.create(record, waits).catch(() => {});'
  },
  {
    fault: 'DELETE is confirmed before the store has removed the session',
    file: 'engine/session/termination.ts',
    find: 'const removed = await (ending.removal ??= options.storeAccess.remove(sessionId, waits));',
    replace: 'void options.storeAccess.remove(sessionId, waits).catch(() => {}); const removed = true;'
  },
  {
    fault: 'a DELETE that the store did not confirm is answered as if it had',
    file: 'engine/session/termination.ts',
    find: 'return storeFailure(error, report);',
    replace: 'report(error as Error);'
  },
  {
    fault: 'a session that is trusted for a moment is served after its end was announced',
    file: 'engine/pods/routing.ts',
    find: "      case 'ended':\n        return this.#context.onEnded('other-pod');",
    replace: "      case 'ended':\n        return;"
  },
  {
    fault: 'the other pods are not told that the session has ended',
    file: 'engine/session/termination.ts',
    find: 'await otherPods?.ended(waits);',
    replace: ''
  },

  // Recovery.
  {
    fault: 'a new session is served without listening to the other pods',
    file: 'engine/session/lifecycle.ts',
    find: 'await this.#otherPods?.join(sessionId, waits);',
    replace: ''
  },
  {
    fault: 'a recovered session is served without listening to the other pods',
    file: 'engine/session/storedSession.ts',
    find: 'this.#otherPods.join(record.sessionId, waits).then(() => this.#readAgain(record, waits))',
    replace: 'this.#readAgain(record, waits)'
  },
  {
    fault: 'concurrent requests of a session each recover it',
    file: 'handler/sessionHost.ts',
    find: 'this.#recoveries.set(sessionId, recovery);',
    replace: ''
  },
  {
    fault: 'a message from another pod overtakes the recovery',
    file: 'engine/engine.ts',
    find: 'await this.stored?.recovered();',
    replace: ''
  },
  {
    fault: 'the handshake is not replayed to a recovered server',
    file: 'engine/session/handshakeReplay.ts',
    find: 'if (initialize) {',
    replace: 'if (initialize && false) {'
  },
  {
    fault: 'the answer to a replayed message goes to the client',
    file: 'engine/engine.ts',
    find: 'if (this.stored?.consumeReplayAnswer(message)) return;',
    replace: ''
  },
  {
    fault: 'a request does not wait until a recovered setting has reached the server',
    file: 'engine/session/storedSession.ts',
    find: '!this.#recovery && !this.#server.replaying && !this.#changes?.hasUnsaved',
    replace: '!this.#recovery && !this.#changes?.hasUnsaved'
  },
  {
    fault: 'a closed server is asked, and its answer is awaited',
    file: 'engine/session/handshakeReplay.ts',
    find: '    if (this.#context.closed) return undefined;\n',
    replace: ''
  },
  {
    fault: 'a server does not learn the log level and the subscriptions that were set on other pods',
    file: 'engine/session/storedSession.ts',
    find: 'await this.#server.replayChanges(this.#record?.metadata?.mcp ?? {}, extra);',
    replace: 'return;'
  },
  {
    fault: 'a session that expires is used on, because its look-up does not refresh it',
    file: 'engine/session/storeAccess.ts',
    find: 'store.touchSession ? store.touchSession(sessionId, known) : readAndRefresh(store, sessionId);',
    replace: 'store.getSession(sessionId);'
  },

  // Messages between pods.
  {
    fault: 'two servers of a session use the same ids for their questions',
    file: 'engine/pods/serverRequests.ts',
    find: 'return { ...this.#qualifyToken(message), id: this.#qualify(message.id) };',
    replace: 'return message;'
  },
  {
    fault: 'an answer for the server of another pod is dropped',
    file: 'engine/pods/routing.ts',
    find: "await this.#mustPublish({ type: 'response', to: owner, message }, waits);",
    replace: ''
  },
  {
    fault: 'the client is told 202 though its answer was not handed to the pod that asked',
    file: 'engine/pods/routing.ts',
    find: 'if (!(await this.#publish(body, waits)))',
    replace: 'if (!(await this.#publish(body, waits)) && false)'
  },
  {
    fault: 'a server forgets its question as soon as it has sent it',
    file: 'engine/pods/serverRequests.ts',
    find: 'this.#pending.set(message.id, message.method);',
    replace: ''
  },
  {
    fault: 'a pod acts on messages that are for another pod',
    file: 'engine/pods/peers.ts',
    find: "if ('to' in message && message.to !== this.instance) return;",
    replace: ''
  },
  {
    fault: 'a pod that could not subscribe does not try again',
    file: 'engine/pods/peers.ts',
    find: '        () => this.#subscribeLater(sessionId)\n',
    replace: '        () => {}\n'
  },
  {
    fault: "the client's report of progress does not reach the pod that asked",
    file: 'engine/pods/routing.ts',
    find: "await this.#publish({ type: 'progress', to: owner, message }, waits);",
    replace: ''
  },
  {
    fault: 'a pod takes a message of a newer pod for its own kind',
    file: 'engine/pods/busMessage.ts',
    find: 'if (v !== BUS_VERSION) throw new Error(`it is of version ${String(v)}, this pod supports ${BUS_VERSION}`);',
    replace: ''
  },

  // The GET stream.
  {
    fault: 'a message for the GET stream is not kept while the stream is being opened',
    file: 'engine/pods/streamOwnership.ts',
    find: 'if (seq !== undefined) (this.#unacknowledged ??= new UnacknowledgedMessages()).add(seq, message, eventId);',
    replace: ''
  },
  {
    fault: 'a message that is sent again is written again',
    file: 'engine/pods/streamOwnership.ts',
    find: 'if (written.has(id)) return false;',
    replace: ''
  },
  {
    fault: 'a pod keeps its GET stream after another pod has opened one',
    file: 'engine/pods/streamOwnership.ts',
    find: "    this.#streams.replaceStandaloneStream('other-pod');\n    const waiting",
    replace: '    const waiting'
  },
  {
    fault: 'a pod closes its newer GET stream for an older one',
    file: 'engine/pods/streamOwnership.ts',
    find: '    if (this.#awaitsOwnAnnouncement()) return;\n    this.#streams',
    replace: '    this.#streams'
  },
  {
    fault: 'a message for the GET stream of another pod is not sent there',
    file: 'engine/streams/outbound.ts',
    find: 'if (stream === streams.standalone) await otherPods.toStandalone(message, eventId);',
    replace: 'if (stream === streams.standalone) return undefined;'
  },

  // Event log and resuming.
  {
    fault: 'an answer is not logged before it is written',
    file: 'engine/streams/outbound.ts',
    find: 'const eventId = stored && (await stored);',
    replace: 'const eventId = undefined as string | undefined; void stored;'
  },
  {
    fault: 'the last event of a longer stream is stored as its only event',
    file: 'engine/streams/eventLog.ts',
    find: 'const isOnly = isOwn && stream.lastAppend === undefined && this',
    replace: 'const isOnly = isOwn && this'
  },
  {
    fault: 'a client that resumes from the start of its stream is refused',
    file: 'engine/streams/resumption.ts',
    find: 'if (isStart && this.#owners && parseStreamId(streamId).owner === undefined)',
    replace: 'if (isStart)'
  },
  {
    fault: 'a resume reads the log before the other pods know of it',
    file: 'engine/streams/resumption.ts',
    find: '    await owners.announce(stream.id, waits);\n    await delivery.read();',
    replace: '    await delivery.read();\n    await owners.announce(stream.id, waits);'
  },
  {
    fault: 'the log is not read again after the owner of a stream has answered',
    file: 'engine/streams/resumption.ts',
    find: "await delivery.read();\n      if (state === 'open' || state === 'unasked') {",
    replace: "if (state === 'open' || state === 'unasked') {"
  },
  {
    fault: 'the client of a dead pod waits for ever',
    file: 'engine/streams/resumption.ts',
    find: "      if (state === 'gone') await this.#answerForLostPod(stream, delivery);",
    replace: "      if (state === 'gone') return;"
  },
  {
    fault: 'a resumed stream is not watched after its owner was found alive',
    file: 'engine/streams/resumption.ts',
    find: 'this.#watch(stream, delivery, owners);',
    replace: ''
  },
  {
    fault: 'the owner of a resumed stream does not learn that its client is elsewhere',
    file: 'engine/pods/routing.ts',
    find: 'if (open) open.isOnOtherPod = true;',
    replace: ''
  },
  {
    fault: 'events that another pod announces are not delivered',
    file: 'engine/pods/routing.ts',
    find: 'return this.#streams.writeTo(message.streamId, message.message, message.eventId);',
    replace: 'return;'
  },
  {
    fault: 'an event that comes from the log and from its sender is delivered twice',
    file: 'engine/streams/receivedMessages.ts',
    find: 'if (this.#eventIds.has(eventId)) return false;\n      remember',
    replace: 'remember'
  },
  {
    fault: 'what happens during a replay is dropped',
    file: 'engine/streams/logDelivery.ts',
    find: 'for (const { message, eventId, finalCursor } of waiting) void this.deliver(message, eventId, finalCursor);',
    replace: ''
  },
  {
    fault: 'an event log that fails fails the answer',
    file: 'engine/streams/eventLog.ts',
    find: 'this.#report(failure);\n    return undefined;',
    replace: 'this.#report(failure);\n    throw failure;'
  },

  // Endings and what is left.
  {
    fault: 'a call to a backend that does not answer has no deadline',
    file: 'deadline.ts',
    find: 'timer = setTimeout(() => (timer = setTimeout(late, GRACE_MS)), timeoutMs);',
    replace: ''
  },
  {
    fault: 'a pod that drains does not wait for its requests',
    file: 'handler/sessionHost.ts',
    find: 'while (this.#inFlight() > 0 && performance.now() < deadline)',
    replace: 'while (false)'
  },
  {
    fault: 'the keep-alive of a stream outlives its connection',
    file: 'engine/streams/connection.ts',
    find: '    clearInterval(this.#keepAlive);\n',
    replace: ''
  },
  {
    fault: 'a session that is forgotten goes on listening to the other pods',
    file: 'engine/engine.ts',
    find: 'void this.routing?.leave();',
    replace: ''
  },
  {
    fault: 'streams stay open when their session is forgotten',
    file: 'engine/engine.ts',
    find: '    this.streams.close();\n',
    replace: ''
  }
];
