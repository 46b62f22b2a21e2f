import { SWEEP_BATCH } from './sweeper.js';
import type { Tables } from './tables.js';

/*
 * The SQL of locks. The queue of a session is one row: the holder is first, waiters follow. The order of changes to the
 * row is the order of the queue. The clock of Postgres alone decides about leases. An expired lease counts as free; the
 * next request for the lock removes it from the row.
 */

const QUEUE = 'unnest(l.tokens, l.leases) with ordinality as w(token, until, place)';

const lease = (milliseconds: string): string => `make_interval(secs => ${milliseconds}::float8 / 1000)`;

export function lockSql({ locks }: Tables) {
  return {
    /**
     * Takes the lock, or a place after the other waiters, or keeps the place that the token has.
     * Parameters: session id, token, milliseconds.
     */
    acquire: `
      insert into ${locks} as l (session_id, tokens, leases, sweep_at)
      values ($1, array[$2::text], array[clock_timestamp() + ${lease('$3')}], clock_timestamp() + ${lease('$3')})
      on conflict (session_id) do update set (tokens, leases, sweep_at) = (
        select array_agg(q.token order by q.place), array_agg(q.until order by q.place), max(q.until)
        from (select clock_timestamp() as now offset 0) as clock, lateral (
          select w.token, case when w.token = $2 then clock.now + ${lease('$3')} else w.until end as until, w.place
          from ${QUEUE} where w.until > clock.now
          union all
          select $2, clock.now + ${lease('$3')}, 9223372036854775807
          where not exists (select from ${QUEUE} where w.token = $2 and w.until > clock.now)
        ) as q
      )
      returning (l.tokens[1] = $2)::text as holds`,

    /**
     * Extends the lease of the holder. Returns a row if the token holds the lock.
     * Parameters: session id, token, milliseconds.
     */
    renew: `
      update ${locks} as l set
        leases = (
          select array_agg(case when w.token = $2 then clock_timestamp() + ${lease('$3')} else w.until end order by w.place)
          from ${QUEUE}
        ),
        sweep_at = greatest(l.sweep_at, clock_timestamp() + ${lease('$3')})
      where l.session_id = $1
        and $2 = (select w.token from ${QUEUE} where w.until > clock_timestamp() order by w.place limit 1)
      returning 1 as one`,

    /** Parameters: session id, token. */
    release: `
      update ${locks} as l set (tokens, leases) = (
        select coalesce(array_agg(w.token order by w.place), '{}'), coalesce(array_agg(w.until order by w.place), '{}')
        from ${QUEUE} where w.token <> $2
      )
      where l.session_id = $1 and $2 = any(l.tokens)`,

    /** Removes queues in which all leases have expired. Returns their number. */
    sweep: `
      with due as (
        select session_id from ${locks} where sweep_at < now() order by sweep_at limit ${SWEEP_BATCH}
        for update skip locked
      ), gone as (
        delete from ${locks} as l using due where l.session_id = due.session_id returning 1
      )
      select count(*)::text as count from gone`
  };
}
