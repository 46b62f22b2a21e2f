import { Redis } from 'ioredis';
import { startPod, type Pod } from '../../support/pods/process.js';
import { startRedisCluster, type RedisCluster } from '../../support/servers/redisCluster.js';
import { until } from '../../support/until.js';

let cluster: RedisCluster;
let admins: Redis[];

beforeAll(async () => {
  cluster = await startRedisCluster();
  admins = cluster.masters.map(({ url }) => new Redis(url));
  // So the Cluster serves its other slots.
  for (const admin of admins) await admin.config('SET', 'cluster-require-full-coverage', 'no');
});
afterAll(async () => {
  admins.forEach(admin => admin.disconnect());
  await cluster.stop();
});

/** Takes the slots from their node, and gives them back. */
async function without<T>(slots: number[], work: () => Promise<T>): Promise<T> {
  const owners = await Promise.all(
    slots.map(async slot => {
      const shards = await admins[0]!.cluster('SLOTS');
      const [, , node] = shards.find(([from, to]) => from <= slot && slot <= to)!;
      return admins.find(({ options }) => options.port === node?.[1])!;
    })
  );
  const countOf = async (admin: Redis) => Number(/cluster_slots_assigned:(\d+)/.exec(await admin.cluster('INFO'))?.[1]);
  const untilAll = (count: number) =>
    until(`${count} slots are assigned`, async () =>
      (await Promise.all(admins.map(countOf))).every(each => each === count)
    );
  for (const admin of admins) await admin.call('CLUSTER', 'DELSLOTS', ...slots);
  await untilAll(16_384 - slots.length);
  try {
    return await work();
  } finally {
    for (const [i, slot] of slots.entries()) await owners[i]!.call('CLUSTER', 'ADDSLOTS', slot);
    await untilAll(16_384);
  }
}

const ask = async ({ origin }: Pod, action: string, name: string) =>
  (await fetch(`${origin}/${action}?name=${name}`)).text();

/** A name whose session and whose channel belong to this master. */
async function nameOn(master: number): Promise<string> {
  const node = admins[master]!;
  const isHere = async (key: string) =>
    !(await node.exists(key).then(String, (error: Error) => error.message)).startsWith('MOVED');
  for (let i = 0; ; i++) {
    const name = `name-${i}`;
    if ((await isHere(`mcp:session:{${name}}`)) && (await isHere(`mcp:session:bus:${name}`))) return name;
  }
}

const start = (library: string, ...topics: string[]) =>
  startPod('test/support/pods/unservedSlotPod.ts', [library, String(cluster.masters[0]!.port), ...topics]);

/** Until a message that the pod sends on this channel reaches itself. */
async function untilHeard(pod: Pod, topic: string): Promise<void> {
  const before = await ask(pod, 'heard', topic);
  await until(
    `it hears a message on ${topic}`,
    async () => {
      await ask(pod, 'publish', topic);
      return (await ask(pod, 'heard', topic)) !== before;
    },
    30_000
  );
}

const LIBRARIES = [
  'ioredis 6',
  'ioredis 6 with enableAutoPipelining',
  'ioredis 5',
  'ioredis 5 with enableAutoPipelining',
  'iovalkey',
  'iovalkey with enableAutoPipelining',
  'node-redis 6',
  'node-redis 5'
];

describe.each(LIBRARIES)('a pod that starts while no node of the Cluster serves some slots, with %s', library => {
  it('goes on, serves what is in the other slots, and all once the slots are served again', async () => {
    const slotOf = (key: string) => admins[0]!.cluster('KEYSLOT', key);
    const slots = [await slotOf('mcp:session:{lost}'), await slotOf('mcp:session:bus:lost')];
    const pod = await without(slots, async () => {
      const started = await start(library, 'lost', 'kept');
      expect(await ask(started, 'patch', 'lost')).toContain('CLUSTERDOWN');
      expect(await ask(started, 'exists', 'lost')).toContain('CLUSTERDOWN');
      expect(await ask(started, 'exists', 'kept')).toBe('false');
      await untilHeard(started, 'kept');
      return started;
    });
    try {
      await until('it reads the session', async () => (await ask(pod, 'exists', 'lost')) === 'false');
      await until('it subscribes', async () => (await ask(pod, 'subscribe', 'lost')) === 'done');
      await untilHeard(pod, 'lost');
    } finally {
      expect(await pod.stop()).toBe('SIGTERM');
    }
  });
});

describe.each(['ioredis 6', 'ioredis 6 with enableAutoPipelining', 'iovalkey', 'node-redis 6', 'node-redis 5'])(
  'a pod of which a master of the Cluster dies, with %s',
  library => {
    it('goes on, serves what is on the other masters, and all once the master is back', async () => {
      const [kept, lost] = [await nameOn(0), await nameOn(2)];
      const pod = await start(library, kept, lost);
      try {
        await untilHeard(pod, kept);
        await untilHeard(pod, lost);
        await cluster.masters[2]!.kill();
        const refused = await ask(pod, 'exists', lost);
        expect(['true', 'false']).not.toContain(refused);
        expect(await ask(pod, 'exists', kept)).toBe('false');
        await untilHeard(pod, kept);
        await cluster.masters[2]!.restart();
        await cluster.untilUp();
        await until('it reads the session', async () => (await ask(pod, 'exists', lost)) === 'false');
        await untilHeard(pod, lost);
      } finally {
        expect(await pod.stop()).toBe('SIGTERM');
      }
    });
  }
);
