import { AnsweringClient } from '../support/clients/answeringClient.js';
import { useCluster } from './cluster.js';

/** Clients that connect at the same time. */
const CLIENTS = Number(process.env.ANYPOD_CLIENTS ?? 20);

const cluster = useCluster(3, { script: 'test/cluster/openingPod.ts', backend: 'redis' });

const cases = ['handler', 'hand'].flatMap(wiring =>
  ['plain', 'log'].flatMap(log => ['takeover', 'reject'].map(second => `${wiring}/${log}/${second}`))
);

/** Connects, and at once calls a tool that asks this client on its standalone stream. */
async function connectAndCall(path: string, text: string): Promise<{ client: AnsweringClient; answer: unknown }> {
  const client = await AnsweringClient.connect(`${cluster.proxy.origin}/${path}`);
  const [asked] = await client.haveAsked({ kind: 'sampling', text, unrelated: true, timeoutMs: 40_000 });
  return { client, answer: asked?.result?.content ?? asked?.error };
}

test.each(cases)('/%s: a question that a tool asks right after connect() reaches the client, once', async path => {
  const texts = Array.from({ length: CLIENTS }, (_, i) => `${path} ${i}`);
  const results = await Promise.all(texts.map(text => connectAndCall(path, text)));
  expect(results.map(({ answer }) => answer)).toEqual(texts.map(text => ({ type: 'text', text })));
  expect(results.map(({ client }) => client.questionIds.length)).toEqual(texts.map(() => 1));
  await Promise.all(results.map(({ client }) => client.leave()));
});
