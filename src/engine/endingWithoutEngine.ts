import type { ReportError } from '../report.js';
import type { ResolvedOptions } from './options.js';
import { otherPodsOf } from './pods/peers.js';
import type { Ending } from './session/termination.js';
import { eventLogOf } from './streams/eventLog.js';
import { STANDALONE, streamIdOf } from './streams/streamId.js';

/** A session that this pod ends although it does not have it live. That needs no server and no transport. */
export function endingWithoutEngine(sessionId: string, options: ResolvedOptions, report: ReportError): Ending {
  return {
    sessionId,
    options,
    report,
    otherPods: otherPodsOf(sessionId, options, report),
    removal: undefined,
    // Perhaps no pod has the session live, so that none but this one deletes its logs. Does not wait for the store.
    async onEnded() {
      void eventLogOf(options, report)?.deleteStreams(sessionId, [streamIdOf(sessionId, STANDALONE)]);
    }
  };
}
