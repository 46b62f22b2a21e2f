import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FileSessionStore } from 'mcp-sdk-anypod/server';
import { sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { lockContract } from '../../src/testing/lockContract.js';
import { principalContract } from '../../src/testing/principalContract.js';
import { sessionStateContract } from '../../src/testing/sessionStateContract.js';

async function makeTwo({ ttlSeconds }: { ttlSeconds: number }) {
  const path = await mkdtemp(join(tmpdir(), 'anypod-'));
  const [first, second] = [new FileSessionStore({ path, ttlSeconds }), new FileSessionStore({ path, ttlSeconds })];
  const close = async () => {
    await Promise.all([first.close(), second.close()]);
    await rm(path, { recursive: true });
  };
  return { first, second, elapse: delay as (ms: number) => Promise<void>, close };
}

sessionStoreContract({
  describe,
  it,
  name: 'FileSessionStore',
  optionalMethods: ['touchSession', 'patchSession', 'listSessionIds'],
  makeTwo
});
lockContract({ describe, it }, 'FileSessionStore', makeTwo);
sessionStateContract({ describe, it }, 'FileSessionStore', makeTwo);
principalContract({ describe, it }, 'FileSessionStore', makeTwo);
