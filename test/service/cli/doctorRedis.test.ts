import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { clockAhead, isProblem, runCli, runCliJson } from '../../support/cli.js';
import { makeCertificates } from '../../support/servers/certificates.js';
import { freePort } from '../../support/servers/freePort.js';
import { startRedisCluster, type RedisCluster } from '../../support/servers/redisCluster.js';
import { startRedisSentinels } from '../../support/servers/redisSentinel.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { until } from '../../support/until.js';

interface Report {
  result: string;
  findings: { check: string; level: string; what: string; why?: string; fix?: string }[];
}

let server: RedisServer;
let cluster: RedisCluster;
let folder: string;
let tlsUrl: string;
let admin: Redis;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-tls-'));
  await makeCertificates(folder);
  const port = await freePort();
  tlsUrl = `rediss://127.0.0.1:${port}`;
  const files = ['--tls-cert-file', join(folder, 'redis.crt'), '--tls-key-file', join(folder, 'redis.key')];
  const tls = ['--tls-port', String(port), ...files, '--tls-ca-cert-file', join(folder, 'ca.crt')];
  [server, cluster] = await Promise.all([
    startRedisServer({ args: [...tls, '--tls-auth-clients', 'no', '--maxmemory', '100mb'] }),
    startRedisCluster()
  ]);
  admin = new Redis(server.url);
});
afterAll(async () => {
  admin.disconnect();
  await Promise.all([server.stop(), cluster.stop()]);
  await rm(folder, { recursive: true, force: true });
});

/** The findings of a run at these levels, by the name of their check. */
async function examine(args: readonly string[], env?: Record<string, string>) {
  const { code, stderr, json } = await runCliJson<Report>(['doctor', ...args], env);
  expect(stderr).toBe('');
  const at = (level: string) =>
    json.findings.filter(finding => finding.level === level && isProblem(finding)).map(({ check }) => check);
  const of = (check: string) => json.findings.find(finding => finding.check === check);
  for (const { level, why, fix } of json.findings) {
    if (level === 'warning' || level === 'fatal') expect([why, fix]).not.toContain(undefined);
  }
  return { code, fatal: at('fatal'), warnings: at('warning'), of, json };
}

async function idInSlot(node: Redis, slot: number): Promise<string> {
  for (let i = 0; ; i++) if ((await node.cluster('KEYSLOT', `key-${i}`)) === slot) return `key-${i}`;
}

describe('the doctor', () => {
  it('finds nothing to improve in a Redis that is as it should be, and leaves no key that lasts', async () => {
    const { code, fatal, warnings, of } = await examine(['--url', server.url]);
    expect([code, fatal, warnings]).toEqual([0, [], []]);
    expect(of('rights')?.what).toMatch(/all \d+ commands and scripts/);
    expect(of('bus')?.what).toMatch(/^a message between two connections takes/);
    for (const key of await admin.keys('*')) expect(await admin.ttl(key)).toBeGreaterThan(0);
  });

  it('prints each finding with its reason and its remedy, without colours if it is not a terminal', async () => {
    const { code, stdout } = await runCli(['doctor', '--url', 'redis://127.0.0.1:1']);
    expect(code).toBe(2);
    expect(stdout).toMatch(/fatal +reachable +no Redis answers at redis:\/\/127\.0\.0\.1:1 .*ECONNREFUSED/);
    expect(stdout).toMatch(/\n +why {2}pods answer .*\n +do {3}start Redis/);
    expect(stdout).not.toContain('\u001b');
  });

  it('reads the backend from the environment, and never prints its password', async () => {
    const url = server.url.replace('//', '//nobody:very-secret@');
    const { code, stdout, stderr } = await runCli(['doctor'], { REDIS_URL: url });
    expect(code).toBe(2);
    expect(stdout).toMatch(/fatal +login +Redis refuses the user or the password/);
    expect(stdout + stderr).not.toContain('very-secret');
  });

  it('names each command that an ACL does not allow, and accepts the rights of the documentation', async () => {
    const readme = readFileSync('src/backends/redis/README.md', 'utf8');
    await admin.call('ACL', ...(/^ACL (SETUSER .*)$/m.exec(readme)![1] as string).split(' '));
    const url = server.url.replace('//', '//mcp:password@');
    expect(await examine(['--url', url])).toMatchObject({ code: 0, fatal: [] });

    await admin.call('ACL', 'SETUSER', 'mcp', '-getex', '-xadd', '-publish');
    const { code, fatal, of } = await examine(['--url', url]);
    expect([code, fatal]).toEqual([2, ['rights', 'bus']]);
    expect(of('rights')?.what).toBe('the user mcp may not run getex, xadd');
    expect(of('rights')?.fix).toContain('ACL SETUSER mcp +getex +xadd');
    expect(of('bus')?.what).toContain("'publish'");
  });

  it('names a prefix that an ACL does not allow', async () => {
    await admin.call('ACL', 'SETUSER', 'other', 'on', '>password', '~mcp:session:*', '&*', '+@all');
    const { code, of } = await examine(['--url', server.url.replace('//', '//other:password@'), '--prefix', 'shop:']);
    expect([code, of('rights')?.what]).toEqual([2, 'the user other may not use keys that begin with shop:']);
  });

  it('warns of a policy that evicts sessions, and of a full memory', async () => {
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const evicting = await examine(['--url', server.url]);
    expect([evicting.code, evicting.warnings]).toEqual([1, ['eviction']]);
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    await admin.config('SET', 'maxmemory', '1');
    const full = await examine(['--url', server.url]);
    expect([full.code, full.fatal]).toEqual([2, ['memory']]);
    await admin.config('SET', 'maxmemory', '100mb');
  });

  it('warns of a clock that is ahead of the clock of Redis', async () => {
    const { json } = await runCliJson<Report>(['doctor', '--url', server.url], clockAhead(90));
    const clock = json.findings.find(({ check }) => check === 'clock');
    expect([clock?.level, clock?.fix]).toEqual(['warning', expect.stringContaining('set-ntp')]);
    expect(clock?.what).toMatch(/^the clocks of this machine and of Redis differ by (89|90)\.\d s$/);
  });

  it('refuses a replica and names its master', async () => {
    const replica = await startRedisServer({ args: ['--replicaof', `127.0.0.1 ${server.port}`] });
    try {
      const { code, fatal, of } = await examine(['--url', replica.url]);
      expect([code, fatal]).toEqual([2, ['kind']]);
      expect(of('kind')?.fix).toContain(`127.0.0.1:${server.port}`);
    } finally {
      await replica.stop();
    }
  });

  it('examines all masters of a Cluster', async () => {
    const { code, of, json } = await examine(['--url', cluster.masters[1]!.url]);
    expect([code, of('cluster')?.what]).toEqual([0, '3 masters serve all slots']);
    expect(json.findings.filter(({ check }) => check === 'eviction')).toHaveLength(3);
  });

  it.each(['yes', 'no'])('names the slots of a Cluster that no node serves, with full coverage: %s', async coverage => {
    const nodes = cluster.masters.map(({ url }) => new Redis(url));
    for (const node of nodes) await node.config('SET', 'cluster-require-full-coverage', coverage);
    for (const node of nodes) await node.call('CLUSTER', 'DELSLOTS', 1, 7, 8);
    const expected = coverage === 'yes' ? /cluster_state:fail/ : /cluster_state:ok/;
    await until('the Cluster knows', async () => {
      const infos = await Promise.all(nodes.map(node => node.cluster('INFO')));
      return infos.every(info => expected.test(info) && info.includes('cluster_slots_assigned:16381'));
    });
    const id = await idInSlot(nodes[0]!, 7);
    await expect(nodes[0]!.get(id)).rejects.toThrow('CLUSTERDOWN');
    try {
      const { code, fatal, of } = await examine(['--url', cluster.masters[1]!.url]);
      expect([code, fatal, of('cluster')?.what]).toEqual([
        2,
        ['cluster'],
        '3 of 16384 slots belong to no node: 1, 7-8'
      ]);
      expect(of('cluster')?.why).toContain(coverage === 'yes' ? 'every request' : 'sessions in these slots');
      expect(of('cluster')?.fix).toContain(`redis-cli --cluster fix 127.0.0.1:${cluster.masters[1]!.port}`);
      const { stderr } = await runCli(['sessions', 'show', id, '--url', cluster.masters[1]!.url]);
      expect(stderr).toMatch(
        /^mcp-sdk-anypod: .*(CLUSTERDOWN|does not serve).*: npx mcp-sdk-anypod doctor says why\n$/
      );
    } finally {
      await nodes[0]!.call('CLUSTER', 'ADDSLOTS', 1, 7, 8);
    }
    await cluster.untilUp();
    nodes.forEach(node => node.disconnect());
  });

  it('names a master of a Cluster that stands still, before and after the other nodes know', async () => {
    const [stuck, ...others] = cluster.masters as [RedisServer, RedisServer, RedisServer];
    const nodes = others.map(({ url }) => new Redis(url));
    for (const node of nodes) await node.config('SET', 'cluster-node-timeout', '1000');
    const args = ['--url', others[0].url, '--timeout', '500'];
    stuck.pause();
    try {
      const what = `127.0.0.1:${stuck.port}, a master with slots, does not answer`;
      const before = await examine(args);
      expect([before.code, before.of('cluster')?.what]).toEqual([2, expect.stringContaining(what)]);
      await until('the other nodes know', async () => /fail[ ,]/.test(String(await nodes[0]!.cluster('NODES'))));
      const after = await examine(args);
      expect([after.code, after.of('cluster')?.what]).toEqual([2, `${what} the other nodes`]);
      expect(after.of('cluster')?.fix).toContain('FAILOVER');
    } finally {
      stuck.resume();
      nodes.forEach(node => node.disconnect());
    }
    await cluster.untilUp();
  });

  it('finds the master through a Sentinel, and says so if the Sentinel is taken for a server', async () => {
    const fleet = await startRedisSentinels();
    const { sentinels, name } = fleet;
    try {
      const url = `redis://127.0.0.1:${sentinels[0]!.port}`;
      const direct = await examine(['--url', url]);
      expect([direct.code, direct.fatal]).toEqual([2, ['kind']]);
      expect(direct.of('kind')?.fix).toContain(`--sentinel ${name}`);
      const through = await examine(['--url', url, '--sentinel', name]);
      expect([through.code, through.of('kind')?.what]).toEqual([0, 'a master with 1 replica']);
      const unknown = await examine(['--url', url, '--sentinel', 'other']);
      expect([unknown.code, unknown.fatal]).toEqual([2, ['sentinel']]);
    } finally {
      await fleet.stop();
    }
  });

  it('names each mistake with TLS', async () => {
    const ca = { NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') };
    const ending = await examine(['--url', tlsUrl], ca);
    expect([ending.code, ending.warnings]).toEqual([1, ['tls']]);
    expect(ending.of('tls')?.what).toMatch(/^TLSv1\.\d, the certificate is valid for [01] days$/);
    const untrusted = await examine(['--url', tlsUrl]);
    expect([untrusted.code, untrusted.of('tls')?.fix]).toEqual([2, expect.stringContaining('NODE_EXTRA_CA_CERTS')]);
    const later = await examine(['--url', tlsUrl], { ...ca, ...clockAhead(3 * 86_400) });
    expect([later.code, later.of('tls')?.fix]).toEqual([2, expect.stringContaining('renew the certificate')]);
    const plain = await examine(['--url', tlsUrl.replace('rediss', 'redis')]);
    expect([plain.code, plain.of('tls')?.fix]).toEqual([2, expect.stringContaining('rediss://')]);
    const tls = await examine(['--url', server.url.replace('redis', 'rediss'), '--timeout', '500']);
    expect([tls.code, tls.of('tls')?.fix]).toEqual([2, expect.stringContaining('redis://')]);
    expect(await readFile(join(folder, 'ca.crt'), 'utf8')).toContain('CERTIFICATE');
  });

  it('names a database that does not exist, a host without an address and a server that does not answer', async () => {
    expect((await examine(['--url', `${server.url}/99`])).fatal).toEqual(['database']);
    expect((await examine(['--url', 'redis://nowhere.invalid'])).of('reachable')?.fix).toContain('getent hosts');
    server.pause();
    const silent = await examine(['--url', server.url, '--timeout', '300']).finally(() => server.resume());
    expect([silent.code, silent.fatal]).toEqual([2, ['reachable']]);
  });
});

describe('a wrong command line ends with one line that says what to type', () => {
  const cases: [string, string[], Record<string, string>, RegExp][] = [
    ['an unknown command', ['docter'], {}, /no command 'docter': use one of doctor/],
    [
      'an unknown option',
      ['doctor', '--urll', 'x'],
      {},
      /Unknown option '--urll': see npx mcp-sdk-anypod doctor --help/
    ],
    ['an argument too many', ['doctor', 'x'], {}, /takes no arguments/],
    ['a URL of another kind', ['doctor', '--url', 'http://x'], {}, /Invalid option --url: .*redis:\/\/host:port/],
    ['no URL', ['doctor', '--url', 'x'], {}, /Invalid option --url: got no URL/],
    ['memory', ['doctor'], { MCP_TS_STORAGE_TYPE: 'memory' }, /is memory: each pod keeps its own sessions.*Give --url/],
    ['an unknown type', ['doctor'], { MCP_TS_STORAGE_TYPE: 'mongo' }, /MCP_TS_STORAGE_TYPE.*'redis' or 'postgres'/],
    ['no number', ['doctor', '--timeout', 'soon'], {}, /--timeout takes a number of milliseconds/]
  ];
  it.each(cases)('%s', async (_title, args, env, message) => {
    const { code, stdout, stderr } = await runCli(args, env);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('the help has the options and the exit codes', async () => {
    const { code, stdout } = await runCli(['doctor', '--help']);
    expect(code).toBe(0);
    for (const text of ['--url', '--json', 'Exit codes:', 'Examples:']) expect(stdout).toContain(text);
    expect((await runCli([])).code).toBe(64);
  });
});
