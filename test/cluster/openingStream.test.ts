import { AnsweringClient } from '../support/clients/answeringClient.js';
import { startPods, type Pod } from '../support/pods/process.js';
import { startRedisServer, type RedisServer } from '../support/servers/redisServer.js';
import { type RoundRobin, startRoundRobin } from '../support/servers/roundRobin.js';

/** Clients that connect at the same time. */
const CLIENTS = Number(process.env.ANYPOD_CLIENTS ?? 20);

let redis: RedisServer;
let pods: Pod[];
let proxy: RoundRobin;
beforeAll(async () => {
  redis = await startRedisServer();
  pods = await startPods(3, 'test/cluster/openingPod.ts', ['--redis', redis.url]);
  proxy = await startRoundRobin(pods.map(pod => pod.port));
});
afterAll(async () => {
  await proxy.stop();
  await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
  await redis.stop();
});

const cases = ['handler', 'hand'].flatMap(wiring =>
  ['plain', 'log'].flatMap(log => ['takeover', 'reject'].map(second => `${wiring}/${log}/${second}`))
);

/** Connects, and at once calls a tool that asks this client on its standalone stream. */
async function connectAndCall(path: string, text: string): Promise<{ client: AnsweringClient; answer: unknown }> {
  const client = await AnsweringClient.connect(`${proxy.origin}/${path}`);
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
