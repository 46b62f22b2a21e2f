import { sessionState, type RequestExtra } from 'mcp-sdk-anypod/server';

/** What the probe servers' tool `state` is asked to do: `count` adds one, by `update`. */
export interface StateArguments {
  op: 'get' | 'set' | 'count' | 'delete';
  value?: unknown;
}

/** Does it for the session that the request belongs to. @returns what there is then, or the code of what was thrown */
export async function keepState({ op, value }: StateArguments, extra: RequestExtra): Promise<unknown> {
  try {
    const state = sessionState(extra);
    switch (op) {
      case 'set':
        await state.set(value);
        return value;
      case 'count':
        return await sessionState<number>(extra).update((count = 0) => count + 1);
      case 'delete':
        await state.delete();
        return 'deleted';
      case 'get':
        return (await state.get()) ?? 'nothing';
    }
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
