import type { Pool } from 'pg';
import type { Findings } from '../finding.js';
import type { PostgresTarget } from '../postgresConnection.js';

const OLDEST = 120_000;
const BUSY_PERCENT = 80;

const FACTS = `
  select current_setting('server_version_num') as number, current_setting('server_version') as version,
    pg_is_in_recovery()::text as replica, current_setting('transaction_read_only') as read_only,
    current_setting('max_connections') as most, current_setting('default_transaction_isolation') as isolation,
    current_setting('synchronous_standby_names') as standbys,
    (select count(*)::text from pg_stat_activity where backend_type = 'client backend') as used,
    (select coalesce(max(version), '') from pg_stat_ssl where pid = pg_backend_pid() and ssl) as tls,
    current_user as name`;

/** Version, kind, connections, TLS and isolation. @returns whether it can keep sessions at all */
export async function checkServer(pool: Pool, { url }: PostgresTarget, findings: Findings): Promise<boolean> {
  const { rows } = await pool.query<Record<string, string>>(FACTS);
  const facts = rows[0] ?? {};
  const { version = '', most = '0', used = '0' } = facts;
  if (Number(facts.number) < OLDEST) {
    findings.fatal('version', `Postgres ${version} is too old`, {
      why: 'the statements of this package need version 12',
      fix: 'upgrade to Postgres 12 or later'
    });
    return false;
  }
  findings.ok('version', `Postgres ${version}`);
  if (facts.replica === 'true') {
    findings.fatal('kind', 'this is a replica, which takes no writes', {
      why: 'every new session and every request of a session writes',
      fix: 'name the primary, or add target_session_attrs=read-write and all hosts to the URL'
    });
    return false;
  }
  if (facts.read_only === 'on') {
    findings.fatal('kind', 'transactions are read-only', {
      why: 'every new session and every request of a session writes',
      fix: 'ALTER ROLE user SET default_transaction_read_only = off (or ALTER DATABASE)'
    });
    return false;
  }
  findings.ok('kind', facts.standbys ? `a primary with synchronous standbys (${facts.standbys})` : 'a primary');
  checkTls(facts, url, findings);
  const percent = Math.round((100 * Number(used)) / Number(most));
  const what = `${used} of ${most} connections are used`;
  if (percent < BUSY_PERCENT) findings.ok('connections', what);
  else {
    findings.warning('connections', what, {
      why: 'each pod has a pool (10 by default) and one connection that listens; without a free one, requests get 503',
      fix: 'lower max of the pools, or ALTER SYSTEM SET max_connections = 200 and restart'
    });
  }
  if (facts.isolation !== 'read committed') {
    const why = 'a statement that conflicts with another is run once more, which takes two more round trips';
    findings.note('isolation', `the default isolation level is ${facts.isolation}`, why);
  }
  return true;
}

function checkTls({ tls }: Record<string, string>, url: string, findings: Findings): void {
  if (tls) findings.ok('tls', tls);
  else if (!/^(127\.|localhost$|\[::1\]$|$)/.test(new URL(url).hostname)) {
    const why = 'whoever can read this network sees session ids: add ?sslmode=verify-full if others share it';
    findings.note('tls', 'the connection is not encrypted', why);
  }
}
