import { type Pod, startPod } from '../support/pods/process.js';
import { callTimes, connect } from '../support/clients/sdkClient.js';

describe('examples/single-pod.ts', () => {
  let pod: Pod;

  beforeAll(async () => {
    pod = await startPod('examples/single-pod.ts', [], { env: { PORT: '0' } });
  });

  afterAll(() => pod?.stop());

  test('each session has a server of its own', async () => {
    const one = await connect(pod.origin);
    const other = await connect(pod.origin);
    expect(await callTimes(2, one, 'count')).toEqual(['1', '2']);
    expect(await callTimes(1, other, 'count')).toEqual(['1']);
    await Promise.all([one.close(), other.close()]);
  });

  test('a deleted session is gone', async () => {
    const client = await connect(pod.origin);
    await client.delete();
    const late = await connect(pod.origin, client.sessionId);
    await expect(late.call('count')).rejects.toMatchObject({ code: 404 });
    await Promise.all([client.close(), late.close()]);
  });
});
