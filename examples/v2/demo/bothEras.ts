/** Clients of both protocol eras on one endpoint, and a pod that is killed while it asks them. Needs a redis-server. */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type Pod, startPod } from '../../../test/support/pods/process.js';
import { startRedisServer } from '../../../test/support/servers/redisServer.js';
import { type RoundRobin, startRoundRobin } from '../../../test/support/servers/roundRobin.js';

interface Check {
  readonly claim: string;
  readonly observed: boolean;
  readonly seen: string;
}

/** How long a call may take whose pod was killed: the lease of the pod, and the client's reconnect. */
const TIMEOUT_MS = 30_000;

/** @returns whether everything was observed */
export async function play(): Promise<boolean> {
  const redis = await startRedisServer();
  const pods = new Map<string, Pod>();
  let balancer: RoundRobin | undefined;
  try {
    const script = fileURLToPath(new URL('./pod.ts', import.meta.url));
    const key = randomBytes(32).toString('base64');
    for (const name of ['pod-1', 'pod-2', 'pod-3']) {
      pods.set(name, await startPod(script, ['--name', name, '--redis', redis.url, '--key', key]));
    }
    balancer = await startRoundRobin([...pods.values()].map(({ port }) => port));
    console.log('\nmcp-server-anypod: one endpoint for both protocol eras\n');
    console.log(
      '   One McpServer of version 2 of the SDK, on three processes behind a round robin. Its tool asks the client.'
    );
    const checks = [...(await withSession(pods, balancer)), ...(await withoutSession(pods, balancer))];
    console.log('');
    for (const { claim, observed, seen } of checks)
      console.log(`   ${observed ? '✓' : '✗'} ${claim.padEnd(55)}${seen}`);
    const passed = checks.filter(({ observed }) => observed).length;
    console.log(`\n   ${passed} of ${checks.length} checks passed.\n`);
    return passed === checks.length;
  } finally {
    await Promise.all([...pods.values()].map(pod => pod.stop('SIGKILL')));
    await balancer?.stop();
    await redis.stop();
  }
}

/** A client that answers questions. The first pod that asks it is killed before the answer. */
async function connect(
  pods: Map<string, Pod>,
  balancer: RoundRobin,
  mode?: 'auto'
): Promise<{ client: Client; killed: string[] }> {
  const killed: string[] = [];
  const client = new Client(
    { name: 'demo', version: '1' },
    { capabilities: { elicitation: { form: {} } }, ...(mode && { versionNegotiation: { mode } }) }
  );
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    const name = params.message;
    row('elicitation', `${name} asks the client`);
    const pod = pods.get(name);
    if (killed.length === 0 && pod) {
      killed.push(name);
      row('', `${name}: its process ${pod.pid} ends with ${await pod.stop('SIGKILL')}`);
      pods.delete(name);
      balancer.setPods([...pods.values()].map(({ port }) => port));
    }
    return { action: 'accept', content: { confirm: true } };
  });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${balancer.origin}/mcp`)));
  return { client, killed };
}

async function order(client: Client): Promise<string> {
  const said = await client
    .callTool({ name: 'order' }, { timeout: TIMEOUT_MS })
    .then(result => (result as { content: { text: string }[] }).content[0]?.text ?? '')
    .catch((error: Error) => error.message);
  row('order', said);
  return said;
}

async function withSession(pods: Map<string, Pod>, balancer: RoundRobin): Promise<Check[]> {
  console.log('\n1  A client of 2025-11-25: its pod is killed while the client answers\n');
  const { client, killed } = await connect(pods, balancer);
  const first = await order(client);
  const second = await order(client);
  await client.close();
  const isOther = /^asked by pod-\d, done by pod-\d$/.test(second) && !second.includes(killed[0] ?? 'pod');
  return [
    { claim: 'the client is told that its pod is gone', observed: first.includes('is gone'), seen: first },
    { claim: 'in the same session, another pod asks again', observed: isOther, seen: second }
  ];
}

async function withoutSession(pods: Map<string, Pod>, balancer: RoundRobin): Promise<Check[]> {
  console.log('\n2  A client of 2026-07-28 on the same endpoint: its pod is killed too\n');
  const { client, killed } = await connect(pods, balancer, 'auto');
  const said = await order(client);
  const version = client.getNegotiatedProtocolVersion() ?? 'none';
  await client.close();
  const isOther = said.startsWith(`asked by ${killed[0]}, done by pod-`) && !said.endsWith(killed[0] ?? 'pod');
  return [
    { claim: 'the client speaks 2026-07-28', observed: version === '2026-07-28', seen: version },
    { claim: 'its answer reaches another pod, with the sealed state', observed: isOther, seen: said }
  ];
}

function row(what: string, text: string): void {
  console.log(`   ${what.padEnd(13)}${text}`);
}
