import { connect } from 'node:net';
import type { Redis } from 'ioredis';
import { Date } from '../../timers.js';
import type { Advice, Findings } from '../finding.js';
import type { RedisTarget } from '../redisConnection.js';

type ClientError = Error & { code?: string; errors?: (Error & { code?: string })[] };

const WHY = 'pods answer every request with 503 until it is corrected';
const DAY_MS = 86_400_000;

/** What an error of the first connection means, from the most special to the most general. */
const CAUSES: readonly { pattern: RegExp; check: string; what: string; fix: (target: RedisTarget) => string }[] = [
  {
    pattern: /WRONGPASS|NOAUTH|invalid password|without any password/,
    check: 'login',
    what: 'Redis refuses the user or the password',
    fix: () => 'write redis://USER:PASSWORD@host:port, each percent-encoded; a user without a name is `default`'
  },
  {
    pattern: /CERT_HAS_EXPIRED|certificate has expired/,
    check: 'tls',
    what: 'the certificate of Redis has expired, by the clock of this machine',
    fix: () =>
      'renew the certificate, then redis-cli CONFIG SET tls-cert-file with its path; if date shows a wrong time: timedatectl set-ntp true'
  },
  {
    pattern: /self-signed|SELF_SIGNED|unable to verify|UNABLE_TO|CERT_|Hostname\/IP does not match|ALTNAME/i,
    check: 'tls',
    what: 'the certificate of Redis is not trusted',
    fix: () =>
      'NODE_EXTRA_CA_CERTS=/path/to/ca.crt npx mcp-sdk-anypod doctor, and the same variable for the pods; the host in the URL must be a name in the certificate'
  },
  {
    pattern: /WRONG_VERSION_NUMBER|wrong version number|packet length too long|EPROTO/i,
    check: 'tls',
    what: 'this port does not speak TLS',
    fix: () => 'write redis:// instead of rediss://, or name the TLS port'
  },
  {
    pattern: /out of range|DB index/,
    check: 'database',
    what: 'Redis does not have this database',
    fix: () => 'name a database from 0 to 15 in the URL, or none on a Cluster'
  },
  {
    pattern: /NOPERM/,
    check: 'rights',
    what: 'the user may not even run PING or SELECT',
    fix: () => 'redis-cli ACL SETUSER USER +@connection'
  },
  {
    pattern: /LOADING/,
    check: 'reachable',
    what: 'Redis still loads its data from disk',
    fix: () => 'wait: redis-cli INFO persistence shows loading_eta_seconds'
  },
  {
    pattern: /All sentinels are unreachable|Sentinel/i,
    check: 'sentinel',
    what: 'no Sentinel there knows a master with this name that answers',
    fix: ({ address }) => `redis-cli -h ${address.host} -p ${address.port} SENTINEL MASTERS lists the names`
  }
];

/** Says why the first connection failed. */
export async function checkConnectionError(error: ClientError, target: RedisTarget, findings: Findings): Promise<void> {
  const text = [error.message, error.code, ...(error.errors ?? []).map(({ message }) => message)].join(' ').trim();
  const short = error.message || error.errors?.map(({ message }) => message).join(', ') || error.code || 'no reason';
  const cause = CAUSES.find(({ pattern }) => pattern.test(text));
  if (cause) {
    findings.fatal(cause.check, `${cause.what} (${short})`, { why: WHY, fix: cause.fix(target) });
    return;
  }
  const { address } = target;
  if (address.access.tls === undefined && /ECONNRESET|Connection is closed|Protocol error|EPIPE/.test(text)) {
    findings.fatal('tls', `the connection closes at the first command (${short})`, {
      why: WHY,
      fix: 'if the port expects TLS, write rediss:// instead of redis://'
    });
    return;
  }
  if (address.access.tls && /ETIMEDOUT|ECONNRESET|no answer/.test(text) && (await accepts(target))) {
    findings.fatal('tls', `the port is open, but nothing there answers in TLS (${short})`, {
      why: WHY,
      fix: 'write redis:// instead of rediss://, or name the TLS port'
    });
    return;
  }
  findings.fatal('reachable', `no Redis answers at ${target.shown} (${short})`, unreachableAdvice(text, target));
}

/** Whether something accepts connections there. */
function accepts({ address, options }: RedisTarget): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: address.host, port: address.port, timeout: options.timeoutMs });
    const settle = (accepted: boolean) => (): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.on('connect', settle(true)).on('error', settle(false)).on('timeout', settle(false));
  });
}

function unreachableAdvice(text: string, { address }: RedisTarget): Advice {
  const { host, port } = address;
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) {
    return {
      why: WHY,
      fix: `getent hosts ${host} must print an address: correct the name, or the DNS of this machine`
    };
  }
  if (/ECONNREFUSED/.test(text)) {
    return { why: WHY, fix: `start Redis on ${host}:${port}, or name the right host and port with --url or REDIS_URL` };
  }
  return {
    why: WHY,
    fix: `nc -vz ${host} ${port} from here: if it hangs, a firewall, security group or NetworkPolicy drops the packets`
  };
}

interface Tls {
  getPeerCertificate?: () => { valid_to?: string };
  getProtocol?: () => string | null;
}

/** Whether the connection is encrypted, and how long the certificate is valid. */
export function checkTls(redis: Redis, { address }: RedisTarget, findings: Findings): void {
  if (address.access.tls === undefined) {
    const isLocal = /^(127\.|localhost$|::1$)/.test(address.host);
    const why = 'whoever can read this network sees the password and session ids: use rediss:// if others share it';
    if (!isLocal) findings.note('tls', 'the connection is not encrypted', why);
    return;
  }
  const stream = (redis as unknown as { stream?: Tls }).stream;
  const until = Date.parse(stream?.getPeerCertificate?.().valid_to ?? '');
  const days = Math.floor((until - Date.now()) / DAY_MS);
  const what = `${stream?.getProtocol?.() ?? 'TLS'}, the certificate is valid for ${days} days`;
  if (Number.isNaN(days)) findings.ok('tls', 'the connection is encrypted');
  else if (days >= 14) findings.ok('tls', what);
  else {
    findings.warning('tls', what, {
      why: 'when it ends, no pod can connect any more',
      fix: 'renew the certificate, then redis-cli CONFIG SET tls-cert-file with the path of the new file'
    });
  }
}
