import { SWEEP_BATCH } from './sweeper.js';
import type { Tables } from './tables.js';

/*
 * The SQL of sessions. Each statement is one transaction. If it waited for another transaction, it checks the row as
 * that one left it, and uses the clock of that moment. Data read from other rows would be older, so a record is stored
 * in its row alone.
 */

const LIVE = 'not s.deleted and s.expires_at > clock_timestamp()';

const hashOf = (text: string): string => `sha256(convert_to(${text}, 'UTF8'))`;

const after = (seconds: string): string => `now() + make_interval(secs => ${seconds}::float8)`;

/** Later than `expires_at` by a quarter of the time to live: for that long, activity does not change the index. */
const sweepAfter = (seconds: string): string => after(`(1.25 * ${seconds}::float8)`);

const NOW_MS = 'floor(extract(epoch from clock_timestamp()) * 1000)';

/** The record. Its large columns are included only if `moved` is true. */
const record = (moved: string): string => {
  const column = (expression: string, name: string) => `case when ${moved} then ${expression} end as ${name}`;
  return `
    s.revision::text as revision, s.initialized::text as initialized,
    s.created_at::text as created_at, s.last_activity::text as last_activity,
    ${column('s.metadata', 'metadata')}, ${column('s.protocol_version', 'protocol_version')},
    ${column('s.log_level', 'log_level')}, ${column('array_to_json(s.subscriptions)::text', 'subscriptions')}`;
};

/**
 * Does not wait for the disk (`synchronous_commit`, for this statement only): a crash of Postgres may lose the latest
 * activity of a session, and nothing else.
 */
const refresh = (sessions: string, which = 's.session_id = $1'): string => `
  update ${sessions} as s set
    expires_at = ${after('$2')},
    sweep_at = case when s.sweep_at < ${after('$2')} then ${sweepAfter('$2')} else s.sweep_at end,
    last_activity = ${NOW_MS}
  from (select set_config('synchronous_commit', 'off', true) as value offset 0) as soon
  where ${which} and ${LIVE} and soon.value is not null`;

/** All statements about sessions, each with its parameters. They stand in one place, so the function is long. */
export function sessionSql(tables: Tables) {
  const { sessions, subscriptions } = tables;
  return {
    /**
     * Creates a session if none exists or the existing one has expired. Returns a row if it did.
     * Parameters: session id, seconds to live, initialized, created at, last activity, metadata, subscriptions, principal.
     * The revision starts from the time, so it differs from every revision of an earlier session with the same id.
     */
    create: `
      with created as (
        insert into ${sessions} as s
          (session_id, revision, expires_at, sweep_at, initialized, created_at, last_activity, metadata, subscriptions,
            principal_hash)
        values ($1, extract(epoch from clock_timestamp()) * 1000000, ${after('$2')}, ${sweepAfter('$2')}, $3::boolean,
          $4::float8, $5::float8, $6, $7::text[], ${hashOf('$8::text')})
        on conflict (session_id) do update set
          revision = greatest(excluded.revision, s.revision + 1), deleted = false, expires_at = excluded.expires_at,
          sweep_at = excluded.sweep_at, initialized = excluded.initialized, created_at = excluded.created_at,
          last_activity = excluded.last_activity, metadata = excluded.metadata, protocol_version = null,
          log_level = null, subscriptions = excluded.subscriptions, principal_hash = excluded.principal_hash,
          state = null, state_version = 0
        where s.expires_at <= clock_timestamp()
        returning s.session_id
      ), indexed as (
        insert into ${subscriptions} (uri_hash, session_id)
        select distinct ${hashOf('uri')}, session_id from created, unnest($7::text[]) as uri
        on conflict do nothing
      )
      select session_id from created`,

    /** Parameters: session id. */
    get: `select ${record('true')} from ${sessions} as s where s.session_id = $1 and ${LIVE}`,

    /** Parameters: session id. */
    exists: `select 1 as one from ${sessions} as s where s.session_id = $1 and ${LIVE}`,

    /** The part of the record that names the owner. Parameters: session id. */
    owner: `select s.metadata from ${sessions} as s where s.session_id = $1 and ${LIVE}`,

    /** Records the activity. Parameters: session id, seconds to live. */
    refresh: refresh(sessions),

    /**
     * Records the activity and returns the record, without its large columns if the caller holds the current revision.
     * Parameters: session id, seconds to live, revision that the caller holds or null.
     */
    touch: `${refresh(sessions)} returning ${record('s.revision is distinct from $3::bigint')}`,

    /**
     * Returns the ids of the sessions that exist with the revision that the caller holds. Refreshes those that were not
     * refreshed for a quarter of the time to live. Rows that are locked are refreshed by the next call: two calls that
     * wait for each other's rows would be a deadlock.
     * Parameters: session ids, seconds to live, revisions that the caller holds.
     */
    refreshMany: `
      with unchanged as (
        select s.session_id, s.expires_at
        from unnest($1::text[], $3::bigint[]) as known (session_id, revision)
        join ${sessions} as s on s.session_id = known.session_id and s.revision = known.revision
        where ${LIVE}
      ), due as (
        select s.session_id from ${sessions} as s
        where s.session_id in (select session_id from unchanged where expires_at < ${after('0.75 * $2::float8')})
        for no key update skip locked
      ), refreshed as (${refresh(sessions, 's.session_id in (select session_id from due)')})
      select session_id from unchanged`,

    /**
     * Changes single fields. Returns a row if the session exists.
     * Parameters: session id, initialized, protocol version, log level, URI to subscribe, URI to unsubscribe; null
     * keeps a field unchanged.
     */
    patch: `
      with patched as (
        update ${sessions} as s set
          revision = s.revision + 1,
          initialized = s.initialized or $2::boolean,
          protocol_version = coalesce($3::text, s.protocol_version),
          log_level = coalesce($4::text, s.log_level),
          subscriptions = array_remove(
            case when $5::text is null or $5 = any(s.subscriptions) then s.subscriptions
              else array_append(s.subscriptions, $5) end,
            $6::text)
        where s.session_id = $1 and ${LIVE}
        returning s.session_id
      ), subscribed as (
        insert into ${subscriptions} (uri_hash, session_id)
        select ${hashOf('$5')}, session_id from patched where $5 is not null
        on conflict do nothing
      ), unsubscribed as (
        delete from ${subscriptions} as i using patched
        where $6 is not null and i.uri_hash = ${hashOf('$6')} and i.session_id = patched.session_id
      )
      select session_id from patched`,

    /**
     * Replaces a session by a tombstone. Returns a row if the session existed.
     * Parameters: session id, seconds to keep the tombstone.
     */
    delete: `
      with deleted as (
        update ${sessions} as s set
          deleted = true, revision = s.revision + 1, expires_at = ${after('$2')}, sweep_at = ${after('$2')},
          metadata = null, protocol_version = null, log_level = null, subscriptions = null, principal_hash = null,
          state = null
        where s.session_id = $1 and ${LIVE}
        returning s.session_id
      ), unindexed as (
        delete from ${subscriptions} as i using deleted where i.session_id = deleted.session_id
      )
      select session_id from deleted`,

    /** Parameters: session id to start after, number of ids at most. */
    list: `
      select s.session_id from ${sessions} as s where s.session_id > $1 and ${LIVE}
      order by s.session_id limit $2::int`,

    /** Parameters: session id to start after, number of ids at most, principal. */
    listOfPrincipal: `
      select s.session_id from ${sessions} as s
      where s.principal_hash = ${hashOf('$3::text')} and s.session_id > $1 and ${LIVE}
      order by s.session_id limit $2::int`,

    /**
     * Parameters: session id to start after, number of ids at most, URI.
     * Also checks the session: two concurrent changes may leave a stale index entry.
     */
    listSubscribed: `
      select s.session_id from ${subscriptions} as i join ${sessions} as s on s.session_id = i.session_id
      where i.uri_hash = ${hashOf('$3::text')} and i.session_id > $1 and ${LIVE} and $3 = any(s.subscriptions)
      order by i.session_id limit $2::int`,

    /** Parameters: session id. */
    getState: `
      select s.state, s.state_version::text as version from ${sessions} as s where s.session_id = $1 and ${LIVE}`,

    /**
     * Replaces the state if it has the version, and returns the outcome. No row if the session is missing.
     * Parameters: session id, state or null, version or null for any.
     */
    putState: `
      with held as (
        select s.session_id, s.state_version from ${sessions} as s where s.session_id = $1 and ${LIVE} for update
      ), written as (
        update ${sessions} as s set state = $2::text, state_version = s.state_version + 1
        from held
        where s.session_id = held.session_id and ($3::bigint is null or held.state_version = $3)
        returning s.session_id
      )
      select case when exists (select from written) then 'written' else 'conflict' end as outcome from held`,

    /** Removes expired rows, including tombstones. Returns their number. */
    sweep: `
      with due as (
        select session_id from ${sessions} where sweep_at < now() and expires_at < now()
        order by sweep_at limit ${SWEEP_BATCH} for update skip locked
      ), gone as (
        delete from ${sessions} as s using due where s.session_id = due.session_id returning s.session_id
      ), unindexed as (
        delete from ${subscriptions} as i using gone where i.session_id = gone.session_id
      )
      select count(*)::text as count from gone`
  };
}
