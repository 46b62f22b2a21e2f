import type { Findings } from '../finding.js';
import type { PostgresTarget } from '../postgresConnection.js';

type ClientError = Error & { code?: string; errors?: Error[] };

const WHY = 'pods answer every request with 503, or do not start, until it is corrected';

/** The first whose pattern fits, so from the most special to the most general. */
const CAUSES: readonly { pattern: RegExp; check: string; what: string; fix: string }[] = [
  {
    pattern: /no encryption/,
    check: 'tls',
    what: 'Postgres refuses connections of this user that are not encrypted',
    fix: 'add ?sslmode=verify-full to the URL; pg_hba.conf has the rules for this host'
  },
  {
    pattern: /28P01|28000|password|SASL/,
    check: 'login',
    what: 'Postgres refuses the user or the password',
    fix: 'write postgres://USER:PASSWORD@host/database, each percent-encoded; pg_hba.conf must allow this host'
  },
  {
    pattern: /3D000/,
    check: 'database',
    what: 'the database does not exist',
    fix: 'createdb NAME, or name another database in the URL'
  },
  {
    pattern: /53300|too many clients|too many connections/,
    check: 'connections',
    what: 'Postgres has no connection left',
    fix: 'lower max of the pools, or ALTER SYSTEM SET max_connections = 200 and restart; select count(*), application_name from pg_stat_activity group by 2'
  },
  {
    pattern: /does not support SSL/,
    check: 'tls',
    what: 'Postgres does not speak TLS here',
    fix: 'remove sslmode from the URL, or set ssl = on in postgresql.conf'
  },
  {
    pattern: /CERT_HAS_EXPIRED|certificate has expired/,
    check: 'tls',
    what: 'the certificate of Postgres has expired, by the clock of this machine',
    fix: 'renew the certificate, then select pg_reload_conf(); if date shows a wrong time: timedatectl set-ntp true'
  },
  {
    pattern: /self-signed|SELF_SIGNED|unable to verify|UNABLE_TO|CERT_|does not match|ALTNAME/i,
    check: 'tls',
    what: 'the certificate of Postgres is not trusted',
    fix: 'NODE_EXTRA_CA_CERTS=/path/to/ca.crt npx mcp-sdk-anypod doctor, and the same variable for the pods; the host in the URL must be a name in the certificate'
  },
  {
    pattern: /57P03/,
    check: 'reachable',
    what: 'Postgres starts, or shuts down',
    fix: 'wait: pg_isready -h HOST -p PORT'
  },
  {
    pattern: /42501/,
    check: 'rights',
    what: 'the user may not connect to this database',
    fix: 'GRANT CONNECT ON DATABASE name TO user'
  }
];

/** Says why the first connection failed. */
export function checkPostgresError(error: ClientError, { shown }: PostgresTarget, findings: Findings): void {
  const short = error.message || error.errors?.map(({ message }) => message).join(', ') || error.code || 'no reason';
  const text = `${error.code ?? ''} ${short}`;
  const cause = CAUSES.find(({ pattern }) => pattern.test(text));
  if (cause) return findings.fatal(cause.check, `${cause.what} (${short})`, { why: WHY, fix: cause.fix });
  findings.fatal('reachable', `no Postgres answers at ${shown} (${short})`, {
    why: WHY,
    fix: 'pg_isready -h HOST -p PORT from here: start Postgres, correct the URL, or look for a firewall between'
  });
}
