import type { ServerEvent, ServerEventBus } from '@modelcontextprotocol/server';
import type { Notify } from '../handler/notifier.js';
import type { ServerNotification } from '../sdkTypes.js';

/** Notifies the clients of both eras: sessions, and streams of `subscriptions/listen`. */
export function notifyBoth(sessions: Notify, bus: ServerEventBus): Notify {
  const both = (event: ServerEvent, notifySessions: () => Promise<void>): Promise<void> => {
    const notified = notifySessions();
    bus.publish(event);
    return notified;
  };
  return {
    toolsChanged: () => both({ kind: 'tools_list_changed' }, () => sessions.toolsChanged()),
    promptsChanged: () => both({ kind: 'prompts_list_changed' }, () => sessions.promptsChanged()),
    resourcesChanged: () => both({ kind: 'resources_list_changed' }, () => sessions.resourcesChanged()),
    async resourceUpdated(uri) {
      const notified = sessions.resourceUpdated(uri);
      if (typeof uri === 'string') bus.publish({ kind: 'resource_updated', uri });
      await notified;
    },
    async send(notification, options) {
      const notified = sessions.send(notification, options);
      const event = options?.sessions === undefined ? eventOf(notification) : undefined;
      if (event) bus.publish(event);
      await notified;
    }
  };
}

/** The event with the same meaning; undefined if `subscriptions/listen` does not have one. */
function eventOf(notification: ServerNotification): ServerEvent | undefined {
  const { method, params } = (notification ?? {}) as { method?: string; params?: Record<string, unknown> };
  switch (method) {
    case 'notifications/tools/list_changed':
      return { kind: 'tools_list_changed', ...(params && { params }) };
    case 'notifications/prompts/list_changed':
      return { kind: 'prompts_list_changed', ...(params && { params }) };
    case 'notifications/resources/list_changed':
      return { kind: 'resources_list_changed', ...(params && { params }) };
    case 'notifications/resources/updated':
      return typeof params?.uri === 'string' ? { kind: 'resource_updated', uri: params.uri, params } : undefined;
    default:
      return undefined;
  }
}
